//! One hook a file.

mod bdev_add;
mod exec;
mod exit;
mod file_ioctl;
mod file_ioctl_compat;
mod file_open;
mod fork;
mod inode_create;
mod inode_link;
mod inode_mkdir;
mod inode_mknod;
mod inode_rename;
mod inode_rmdir;
mod inode_symlink;
mod inode_unlink;
mod path_truncate;
mod uring_cmd;
