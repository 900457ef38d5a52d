//! On the running kernel's `/proc`, with this process as the one that is found.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};

use super::*;

/// `/dev/null`, which stands in for a disk.
const NULL: DeviceKey = DeviceKey::char(dev::make(1, 3));

/// Answers; whether this process itself is looked at.
struct Null(bool);

impl Asked for Null {
    fn is_searched(&self, pid: u32) -> bool {
        self.0 || pid != std::process::id()
    }
    fn matters(&self, _: u32, device: DeviceKey) -> bool {
        device == NULL
    }
    fn named(&self, name: &str) -> Option<DeviceKey> {
        (name == "null").then_some(NULL)
    }
}

fn mine() -> Vec<Holder> {
    let me = std::process::id();
    let mut found = find(&Roots::host(), &Null(true)).holders;
    found.retain(|holder| holder.pid == me);
    found
}

fn open(write: bool) -> File {
    OpenOptions::new()
        .read(true)
        .write(write)
        .open("/dev/null")
        .expect("opens")
}

fn descriptor(file: &File) -> Holder {
    Holder {
        pid: std::process::id(),
        tid: std::process::id(),
        way: Way::Descriptor(file.as_raw_fd().cast_unsigned()),
        device: Some(NULL),
    }
}

#[test]
fn descriptors_for_writing_are_found_and_no_others() {
    let (reader, writer) = (open(false), open(true));
    let found = mine();
    assert!(found.contains(&descriptor(&writer)), "{found:?}");
    assert!(!found.contains(&descriptor(&reader)), "{found:?}");
    let others = find(&Roots::host(), &Null(false)).holders;
    assert!(others.iter().all(|holder| holder.pid != std::process::id()));
}

#[test]
fn a_descriptor_that_waits_in_a_socket_is_told_without_its_device() {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .expect("a pair");
    let waits = Holder {
        pid: std::process::id(),
        tid: std::process::id(),
        way: Way::InFlight(theirs.as_raw_fd().cast_unsigned()),
        device: None,
    };
    assert!(!mine().contains(&waits));
    let writer = open(true);
    let fds = [writer.as_fd()];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(
        &ours,
        &[IoSlice::new(b"x")],
        &mut control,
        SendFlags::empty(),
    )
    .expect("sent");
    drop(writer);
    assert!(mine().contains(&waits), "{:?}", mine());
}

#[test]
fn a_thread_with_a_table_of_its_own_is_looked_at() {
    let seen = thread::spawn(|| {
        // SAFETY: the thread does nothing but open, look and end with the table that it gets.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_FILES) }, 0);
        let writer = open(true);
        let tid = rustix::thread::gettid()
            .as_raw_nonzero()
            .get()
            .cast_unsigned();
        let expected = Holder {
            tid,
            ..descriptor(&writer)
        };
        (mine(), expected)
    });
    let (found, expected) = seen.join().expect("ends");
    assert!(found.contains(&expected), "{expected:?} in {found:?}");
}

#[test]
fn where_the_information_about_a_descriptor_is() {
    assert_eq!(
        info_of(Path::new("/proc/7/task/9/fd/3")),
        Path::new("/proc/7/task/9/fdinfo/3")
    );
}
