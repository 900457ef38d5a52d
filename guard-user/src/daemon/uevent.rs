//! Uevents: the kernel's own (group 1), which come first, and udev's (group 2), which come when its
//! database is up to date. What they say is not looked at, only that a block device or a drive's
//! passthrough node changed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// lib/kobject_uevent.c sends to group 1; systemd's udevd to group 2 (libudev-monitor).
const GROUPS: u32 = 0b11;
/// Larger than any uevent (`UEVENT_BUFFER_SIZE` is 2048; udev adds properties).
const LONGEST: usize = 16 * 1024;
/// A burst of thousands of devices should not overflow the socket; if it does, that is an event.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Subsystems whose events matter (`SUBSYSTEM=`).
const SUBSYSTEMS: [&[u8]; 7] = [
    b"block",
    b"bdi",
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

    /// Reads all that waits; true where any of it matters.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut matters = false;
        loop {
            match recv(&self.fd, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((_, bytes)) => matters |= concerns_disks(&self.buffer[..bytes.min(LONGEST)]),
                Err(rustix::io::Errno::AGAIN) => return Ok(matters),
                Err(rustix::io::Errno::INTR) => {}
                // Events were lost (netlink(7)): anything may have happened.
                Err(rustix::io::Errno::NOBUFS) => matters = true,
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

fn concerns_disks(message: &[u8]) -> bool {
    // Both formats have NUL-separated KEY=VALUE strings; udev's follow a binary header.
    message.split(|&byte| byte == 0).any(|field| {
        field
            .strip_prefix(b"SUBSYSTEM=")
            .is_some_and(|name| SUBSYSTEMS.contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disks_matter() {
        assert!(concerns_disks(
            b"add@/devices/x\0ACTION=add\0SUBSYSTEM=block\0SEQNUM=1\0"
        ));
        assert!(concerns_disks(
            b"libudev\0\xfe\xed\xca\xfe\x01\x02SUBSYS\0SUBSYSTEM=nvme\0"
        ));
        assert!(!concerns_disks(
            b"add@/x\0SUBSYSTEM=net\0NAME=SUBSYSTEM=block\0"
        ));
        assert!(!concerns_disks(b""));
    }
}
