//! The part of the kernel half that is pure: what a command means, and what is decided about it.
//!
//! Nothing here reads a map or the kernel. The BPF programs compile the same code, and the tests
//! run it over its whole domain on the host.
#![no_std]
// A call costs a BPF program a frame of its 512 bytes of stack and the verifier what it knew.
#![allow(
    clippy::inline_always,
    reason = "measured in instructions, and checked by the verifier"
)]
#![allow(
    clippy::match_same_arms,
    reason = "arms are lists from different headers"
)]
#![allow(
    clippy::unreadable_literal,
    reason = "command numbers are written as the headers do"
)]

pub mod caller;
pub mod command;
pub mod control;
pub mod decide;
pub mod files;
pub mod glass;
pub mod grants;
pub mod itself;
pub mod machine;
pub mod mounting;
pub mod told;
