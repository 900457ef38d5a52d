//! ioctls of character devices that steer the machine, and those that stop a file system.

use std::fs::File;
use std::path::Path;

use anyhow::Result;

use super::ioctl::send;

/// `FS_IOC_SHUTDOWN` (`XFS_IOC_GOINGDOWN`, `EXT4_IOC_SHUTDOWN`).
const GO_DOWN: libc::c_ulong = 0x8004_587D;
/// `DM_DEV_SUSPEND`.
pub const DM_DEV_SUSPEND: u32 = 0xC138_FD06;
/// `IPMICTL_SEND_COMMAND`.
const SEND_COMMAND: libc::c_ulong = 0x8028_690D;

/// Shuts down the file system that a file or directory lies in, without flushing its log.
pub fn shut_down(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    // EXT4_GOING_FLAGS_NOLOGFLUSH
    send(&file, GO_DOWN, &mut 2_u32).map(drop)
}

/// `struct dm_ioctl` that suspends the device of this name.
pub fn suspend_request(name: &str) -> [u8; 312] {
    let mut request = [0; 312];
    for (at, number) in [(0, 4_u32), (12, 312), (16, 312), (28, 1 << 1)] {
        request[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    request[48..48 + name.len()].copy_from_slice(name.as_bytes());
    request
}

/// Suspends a device-mapper device through a read-only descriptor.
pub fn suspend(name: &str) -> Result<()> {
    let file = File::open("/dev/mapper/control")?;
    let mut request = suspend_request(name);
    send(&file, DM_DEV_SUSPEND.into(), &mut request).map(drop)
}

/// `struct ipmi_system_interface_addr`.
#[repr(C)]
struct Address {
    kind: i32,
    channel: i16,
    lun: u8,
}

/// `struct ipmi_req` with its `struct ipmi_msg`.
#[repr(C)]
struct Request {
    address: *mut Address,
    address_bytes: u32,
    id: libc::c_long,
    netfn: u8,
    cmd: u8,
    data_bytes: u16,
    data: *const u8,
}

/// Sends a message to the BMC.
pub fn ipmi(netfn: u8, cmd: u8, data: &[u8]) -> Result<()> {
    let file = super::open(Path::new("/dev/ipmi0"), true, true, 0)?;
    let mut address = Address {
        kind: 0x0C,
        channel: 0xF,
        lun: 0,
    };
    let mut request = Request {
        address: &raw mut address,
        address_bytes: 8,
        id: 1,
        netfn,
        cmd,
        data_bytes: u16::try_from(data.len())?,
        data: data.as_ptr(),
    };
    send(&file, SEND_COMMAND, &mut request).map(drop)
}
