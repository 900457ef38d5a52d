//! A process that has a device open for writing, in some way, before that would be refused, and
//! tries to write when it is told to: `guest-suite --hold WAY NODE`.
//!
//! It prints `ready` once it holds the device; then, for each line of its input, `wrote`, or
//! `refused ERRNO REASON`. It ends with its input.

use std::fs::File;
use std::io::BufRead;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::ptr;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use io_uring::{IoUring, opcode, types};

use super::{MARKER, check, descriptor, ioctl, open, scsi, write};
use crate::harness::run::say;
use crate::harness::snapshot::Aligned;

/// Tries to write once.
type Attempt = Box<dyn FnMut() -> Result<()>>;

/// Opens a device in some way.
type Hold = fn(&Path) -> Result<Attempt>;

/// How a device can be held. The first column is the name on the command line.
const WAYS: &[(&str, Hold)] = &[
    ("pwrite", |node| simply(node, 0, |file| overwrite(file))),
    ("sendfile", |node| {
        simply(node, 0, |file| write::send_to(file))
    }),
    ("splice", |node| {
        simply(node, 0, |file| write::splice_to(file))
    }),
    ("aio-direct", |node| {
        simply(node, libc::O_DIRECT, |file| write::native_aio_to(file))
    }),
    ("zero-range", |node| {
        simply(node, 0, |file| {
            write::fallocate(file, libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE)
        })
    }),
    ("discard", |node| {
        simply(node, 0, |file| ioctl::discard_through(file))
    }),
    ("map-later", |node| {
        simply(node, 0, |file| store(&Mapping::new(file, true)?))
    }),
    ("sg-write", |node| simply(node, 0, scsi::sg_write_to)),
    ("executed", executed),
    ("in-flight", in_flight),
    ("thread", of_a_thread),
    ("registered", registered),
    ("mapped-for-reading", mapped_for_reading),
    ("mapped", mapped),
];

/// Runs one of them; `words` are `WAY NODE`.
pub fn run(words: &[String]) -> ExitCode {
    let [way, node] = words else {
        return ExitCode::from(64);
    };
    let attempt = match node.parse() {
        // After exec: the descriptor was inherited.
        // SAFETY: this program was started with the descriptor, and nothing else uses it.
        Ok(fd) => Ok(of_file(
            File::from(unsafe { OwnedFd::from_raw_fd(fd) }),
            |file| overwrite(file),
        )),
        Err(_) => WAYS
            .iter()
            .find(|(name, _)| name == way)
            .ok_or_else(|| anyhow!("no way {way}"))
            .and_then(|(_, hold)| hold(Path::new(node))),
    };
    match attempt {
        Ok(attempt) => serve(attempt),
        Err(error) => {
            say(&format!("failed {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(mut attempt: Attempt) -> ExitCode {
    say("ready");
    for line in std::io::stdin().lock().lines() {
        match line.as_deref() {
            // As fast as it can, until it is refused: when that was, and how often it was not.
            Ok("until-refused") => until_refused(&mut attempt),
            Ok(_) => say(&told(attempt())),
            Err(_) => break,
        }
    }
    ExitCode::SUCCESS
}

fn told(outcome: Result<()>) -> String {
    match outcome {
        Ok(()) => "wrote".to_owned(),
        Err(error) => {
            let number = error.chain().find_map(|cause| {
                let system = cause.downcast_ref::<std::io::Error>();
                let rustix = cause.downcast_ref::<rustix::io::Errno>();
                system
                    .and_then(std::io::Error::raw_os_error)
                    .or(rustix.map(|errno| errno.raw_os_error()))
            });
            format!("refused {} {error:#}", number.unwrap_or(0))
        }
    }
}

fn until_refused(attempt: &mut Attempt) {
    let mut writes = 0_u64;
    let mut last = boot_ns();
    let refused = loop {
        match attempt() {
            Ok(()) => (writes, last) = (writes + 1, boot_ns()),
            Err(_) => break boot_ns(),
        }
    };
    say(&format!("until {last} {refused} {writes}"));
}

fn boot_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

fn overwrite(file: &File) -> Result<()> {
    file.write_all_at(&[MARKER; 4096], 4096).context("pwrite")
}

fn of_file(mut file: File, attempt: fn(&mut File) -> Result<()>) -> Attempt {
    Box::new(move || attempt(&mut file))
}

fn simply(node: &Path, flags: i32, attempt: fn(&mut File) -> Result<()>) -> Result<Attempt> {
    Ok(of_file(open(node, true, true, flags)?, attempt))
}

/// The descriptor outlives the program that opened it.
fn executed(node: &Path) -> Result<Attempt> {
    let file = open(node, true, true, 0)?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).context("F_SETFD")?;
    let fd = file.as_raw_fd().to_string();
    let error = Command::new("/proc/self/exe")
        .args(["--hold", "inherited", &fd])
        .exec();
    Err(error).context("exec")
}

/// The descriptor is in no table: it waits in a socket.
fn in_flight(node: &Path) -> Result<Attempt> {
    let (sender, socket) = descriptor::post(&open(node, true, true, 0)?)?;
    let mut arrived: Option<File> = None;
    Ok(Box::new(move || {
        let _sender = &sender;
        if arrived.is_none() {
            arrived = Some(descriptor::receive(&socket)?);
        }
        arrived.as_ref().map_or(Ok(()), overwrite)
    }))
}

/// The descriptor is in the table of one thread alone.
fn of_a_thread(node: &Path) -> Result<Attempt> {
    let node = node.to_owned();
    let (ask, asked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // SAFETY: what this thread opens from now on is its own; it uses nothing of the others.
        let file = check(
            unsafe { libc::unshare(libc::CLONE_FILES) }.into(),
            "unshare",
        )
        .and_then(|_| open(&node, true, true, 0));
        let file = match file {
            Ok(file) => file,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let _ = tell.send(Ok(()));
        for () in asked {
            let _ = tell.send(overwrite(&file));
        }
    });
    told.recv().context("the thread has ended")??;
    Ok(Box::new(move || {
        ask.send(()).context("asking the thread")?;
        told.recv().context("the thread has ended")?
    }))
}

/// The descriptor is closed; an io_uring has the file.
fn registered(node: &Path) -> Result<Attempt> {
    let mut ring = IoUring::new(4).context("io_uring_setup")?;
    let file = open(node, true, true, libc::O_DIRECT)?;
    ring.submitter()
        .register_files(&[file.as_raw_fd()])
        .context("registering the file")?;
    drop(file);
    let mut data = Aligned::new(4096);
    data.bytes_mut().fill(MARKER);
    Ok(Box::new(move || {
        let write = opcode::Write::new(types::Fixed(0), data.bytes().as_ptr(), 4096)
            .offset(4096)
            .build();
        // SAFETY: the buffer lives as long as the ring.
        unsafe { ring.submission().push(&write) }.context("the queue is full")?;
        ring.submit_and_wait(1).context("submitting")?;
        let result = ring.completion().next().context("no completion")?.result();
        if result < 0 {
            return Err(std::io::Error::from_raw_os_error(-result)).context("writing by io_uring");
        }
        ensure!(result == 4096, "a short write");
        Ok(())
    }))
}

/// A shared mapping of the first page.
struct Mapping(*mut u8);

impl Mapping {
    fn new(file: &File, writable: bool) -> Result<Self> {
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        // SAFETY: a new mapping of a descriptor that lives; its result is checked.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                4096,
                protection,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error()).context("mmap");
        }
        Ok(Self(address.cast()))
    }
}

/// Stores to a writable mapping, and has the page written out.
fn store(mapping: &Mapping) -> Result<()> {
    // SAFETY: a writable mapping of one page that nobody else knows.
    let result = unsafe {
        ptr::write_bytes(mapping.0, MARKER, 4096);
        libc::msync(mapping.0.cast(), 4096, libc::MS_SYNC)
    };
    check(result.into(), "msync").map(drop)
}

/// A mapping made for reading that becomes writable; its descriptor is closed.
fn mapped_for_reading(node: &Path) -> Result<Attempt> {
    let mapping = Mapping::new(&open(node, true, true, 0)?, false)?;
    Ok(Box::new(move || {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the mapping lives as long as the program.
        let result = unsafe { libc::mprotect(mapping.0.cast(), 4096, protection) };
        check(result.into(), "mprotect")?;
        store(&mapping)
    }))
}

/// A writable mapping; its descriptor is closed.
fn mapped(node: &Path) -> Result<Attempt> {
    let mapping = Mapping::new(&open(node, true, true, 0)?, true)?;
    Ok(Box::new(move || store(&mapping)))
}
