//! Topology and classification over trees that look like a machine's `/sys`, `/proc` and `/run`.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![expect(clippy::format_push_string, reason = "descriptions are short")]

mod claims;
mod databases;
mod laws;
mod lvm;
mod memory;
mod passthrough;
mod real;
mod stacks;
mod tools;
mod tree;
