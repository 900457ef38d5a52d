//! Puts the BPF object that `cargo xtask build` has made into the binary.
//!
//! Without one the binary is built all the same, with an empty object, so that plain `cargo test`
//! and editors work; `dbguard run` then refuses to start and says how to build it.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::exit;

fn main() {
    println!("cargo::rerun-if-env-changed=DBGUARD_BPF_OBJECT");
    let Some(out) = env::var_os("OUT_DIR") else {
        eprintln!("OUT_DIR is not set: a build script is run by cargo");
        exit(1);
    };
    let target = PathBuf::from(out).join("dbguard.bpf.o");
    let written = match env::var_os("DBGUARD_BPF_OBJECT") {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            fs::copy(&object, &target).map(|_| ())
        }
        None => fs::write(&target, b""),
    };
    if let Err(error) = written {
        eprintln!(
            "cannot put the BPF object into {}: {error}; is DBGUARD_BPF_OBJECT a readable file?",
            target.display()
        );
        exit(1);
    }
}
