//! dbguard's BPF object.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

/// On any other target there is nothing to run.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
