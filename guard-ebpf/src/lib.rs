//! The part of the kernel half that is pure: what a command means, and what is decided about it.
//!
//! Nothing here reads a map or the kernel. The BPF programs compile the same code, and the tests
//! run it over its whole domain on the host.
#![no_std]

pub mod command;
pub mod decide;
