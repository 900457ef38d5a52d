//! One hook a file.

mod bdev_add;
mod exec;
mod exit;
mod file_ioctl;
mod file_ioctl_compat;
mod file_open;
mod fork;
mod uring_cmd;
