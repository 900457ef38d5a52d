//! What the guard attacks to prove that it guards.
//!
//! Attaching a BPF LSM program succeeds on kernels where it then never runs (`bpf` missing from
//! the active LSM list, trampolines switched off by `ftrace_enabled=0`), so only a refused
//! operation proves anything. The canary is refused in every state and mode, changes nothing, and
//! makes no event; [`crate::Counter::Canary`] counts it.

use crate::{DeviceKey, dev};

/// A block device number that no driver can ever have: the block layer hands out majors below 512
/// (include/linux/blkdev.h `BLKDEV_MAJOR_MAX`). Opening a node of it for writing gives `EPERM`
/// from the guard, `ENXIO` from a kernel without one.
pub const DEVICE: DeviceKey = DeviceKey::block(dev::make(4095, (1 << dev::MINOR_BITS) - 1));

/// Another such number, which the second layer (the cgroup device program) refuses and no other
/// hook does.
pub const LAYER_DEVICE: DeviceKey = DeviceKey::block(DEVICE.dev - 1);

/// An ioctl that no driver knows (`_IO(0xDB, 0xCA)`; Documentation/userspace-api/ioctl): `EPERM`
/// from the guard, on any block device, `ENOTTY` from a kernel without one.
pub const IOCTL: u32 = 0xDBCA;

/// `/dev/null`, which takes any io_uring command and does nothing about it, for tests of security
/// modules (drivers/char/mem.c `uring_cmd_null`). The number of [`IOCTL`] sent to it that way is
/// refused by the guard.
pub const URING_NODE: u32 = dev::make(1, 3);
