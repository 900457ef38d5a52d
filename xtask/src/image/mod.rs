//! Guest images: kernel packages, the root file system, disks assembled from them.

pub mod boot;
pub mod btf;
pub mod disk;
pub mod kernel;
pub mod root;
pub mod rootfs;
