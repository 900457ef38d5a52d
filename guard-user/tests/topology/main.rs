//! Topology and classification over trees that look like a machine's `/sys`, `/proc` and `/run`.

mod databases;
mod laws;
mod lvm;
mod memory;
mod passthrough;
mod real;
mod scale;
mod stacks;
mod tools;
mod tree;
