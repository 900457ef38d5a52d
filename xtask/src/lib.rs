//! What the verbs of `cargo xtask` are made of. The demonstration, the benchmark and the tests stand
//! on [`guest`].

pub mod bench;
pub mod build;
pub mod cache;
pub mod cmd;
pub mod coverage;
pub mod demo;
pub mod fmt;
pub mod fuzz;
pub mod guest;
pub mod image;
pub mod lint;
pub mod package;
pub mod paths;
pub mod setup;
pub mod test;
pub mod vm;
