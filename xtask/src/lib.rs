//! What the verbs of `cargo xtask` are made of. The demonstration, the benchmark and the tests stand
//! on [`guest`].

pub mod bench;
pub mod build;
pub mod cache;
pub mod cmd;
pub mod demo;
pub mod guest;
pub mod image;
pub mod paths;
pub mod setup;
pub mod vm;
