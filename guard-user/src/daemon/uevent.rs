//! Uevents: the kernel's own (group 1), which come first, and udev's (group 2), which come when its
//! database is up to date. Looked at is only which block device changed, or that a drive's
//! passthrough node did.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::topology::Changes;

use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// lib/kobject_uevent.c sends to group 1; systemd's udevd to group 2 (libudev-monitor).
const GROUPS: u32 = 0b11;
/// Larger than any uevent (`UEVENT_BUFFER_SIZE` is 2048; udev adds properties).
const LONGEST: usize = 16 * 1024;
/// A burst of thousands of devices should not overflow the socket; if it does, that is an event.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Subsystems of nodes that pass commands to drives.
const NODES: [&[u8]; 5] = [
    b"nvme",
    b"nvme-generic",
    b"scsi_generic",
    b"bsg",
    b"nvme-subsystem",
];

/// The socket.
#[derive(Debug)]
pub struct Uevents {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Uevents {
    /// Subscribes.
    pub fn open() -> io::Result<Self> {
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(KOBJECT_UEVENT),
        )?;
        // Over rmem_max needs CAP_NET_ADMIN; a smaller buffer is no reason not to start.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&fd, RECEIVE_BUFFER).is_err() {
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&fd, RECEIVE_BUFFER);
        }
        bind(&fd, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self {
            fd,
            buffer: vec![0; LONGEST],
        })
    }

    /// Reads all that waits; `None` where none of it matters.
    pub fn drain(&mut self) -> io::Result<Option<Changes>> {
        let mut all: Option<Changes> = None;
        let mut add = |changes| all.get_or_insert_default().extend(changes);
        loop {
            match recv(&self.fd, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((_, bytes)) => {
                    if let Some(changes) = parse(&self.buffer[..bytes.min(LONGEST)]) {
                        add(changes);
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(all),
                Err(rustix::io::Errno::INTR) => {}
                // Events were lost (netlink(7)): anything may have happened.
                Err(rustix::io::Errno::NOBUFS) => add(Changes::all()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What an event is about; `None` where it is no disk's. Both formats have NUL-separated
/// `KEY=VALUE` strings; udev's follow a binary header.
fn parse(message: &[u8]) -> Option<Changes> {
    let value = |key: &[u8]| {
        message
            .split(|&byte| byte == 0)
            .find_map(|field| field.strip_prefix(key))
    };
    let mut changes = Changes::default();
    match value(b"SUBSYSTEM=")? {
        b"block" => {
            let name = std::str::from_utf8(value(b"DEVNAME=")?).ok()?;
            changes
                .devices
                .insert(name.strip_prefix("/dev/").unwrap_or(name).into());
        }
        // What is mounted, a file system of many devices too; disks have an event of their own.
        b"bdi" => {}
        subsystem if NODES.contains(&subsystem) => changes.nodes = true,
        _ => return None,
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(message: &[u8]) -> Vec<String> {
        let changes = parse(message).unwrap();
        changes.devices.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_device_is_named_by_the_kernel_and_by_udev() {
        assert_eq!(
            devices(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=cciss/c0d0\0SEQNUM=1\0"),
            ["cciss/c0d0"]
        );
        assert_eq!(
            devices(b"libudev\0\xfe\xed\xca\xfe\x01\x02\0SUBSYSTEM=block\0DEVNAME=/dev/sda1\0"),
            ["sda1"]
        );
    }

    #[test]
    fn only_disks_matter() {
        let nodes = parse(b"libudev\0\xfe\xed\xca\xfe\x01\x02SUBSYS\0SUBSYSTEM=nvme\0").unwrap();
        assert!(nodes.nodes && nodes.devices.is_empty());
        assert_eq!(parse(b"x\0SUBSYSTEM=bdi\0"), Some(Changes::default()));
        assert_eq!(
            parse(b"add@/x\0SUBSYSTEM=net\0NAME=SUBSYSTEM=block\0"),
            None
        );
        assert_eq!(parse(b""), None);
    }
}
