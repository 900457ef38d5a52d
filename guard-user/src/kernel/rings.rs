//! Reading the event rings so that nothing is lost when the reader is killed.
//!
//! aya's reader moves the consumer position as soon as an item is dropped. Here the position moves
//! in [`EventRing::advance`] alone, after the caller has made its record durable: whoever opens
//! the ring next finds every event that was not. (So an event may be seen twice; its
//! `(boot_ns, cpu, tid)` tells.)
//!
//! Layout: kernel/bpf/ringbuf.c `struct bpf_ringbuf`; one page with the consumer position, one
//! with the producer position, then the data, mapped twice in a row so that no record wraps.

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use guard_abi::{DenialEvent, LifecycleEvent};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::bpf::{self, Plain};
use super::pin;
use super::problem::{GuardError, Result};

/// Bytes before each record (`BPF_RINGBUF_HDR_SZ`).
const HEADER: usize = 8;
/// The producer has not finished the record (`BPF_RINGBUF_BUSY_BIT`).
const BUSY: u32 = 1 << 31;
/// The producer has thrown the record away (`BPF_RINGBUF_DISCARD_BIT`).
const DISCARDED: u32 = 1 << 30;

mod sealed {
    pub trait Event {}
    impl Event for guard_abi::DenialEvent {}
    impl Event for guard_abi::LifecycleEvent {}
}

/// What travels in a ring.
#[expect(
    private_bounds,
    reason = "sealed: the rings carry these two and nothing else"
)]
pub trait Event: Plain + sealed::Event {}
impl Event for DenialEvent {}
impl Event for LifecycleEvent {}

/// Reader of one pinned ring. There must be one reader a ring at a time.
///
/// Waiting: readable for poll(2) and edge-triggered epoll. Call [`EventRing::peek`] and
/// [`EventRing::advance`] in turn until `peek` finds nothing, and only then wait; the kernel wakes
/// a reader only when it was caught up.
#[derive(Debug)]
pub struct EventRing<E> {
    fd: OwnedFd,
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    data_bytes: usize,
    /// Position up to which events were handed out by `peek`.
    handed_out: u64,
    malformed: u64,
    event: PhantomData<E>,
}

impl<E: Event> EventRing<E> {
    /// Opens the ring pinned as `name`.
    pub(super) fn open(name: &'static str) -> Result<Self> {
        let path = pin::map(name);
        Self::map(name).map_err(|source| GuardError::Open {
            name,
            path: path.display().to_string(),
            source,
        })
    }

    fn map(name: &'static str) -> std::io::Result<Self> {
        let fd = bpf::open_pinned(&pin::map(name))?;
        let data_bytes = bpf::map_info(fd.as_fd())?.max_entries as usize;
        let page = rustix::param::page_size();
        let consumer = Mapping::new(&fd, page, ProtFlags::READ | ProtFlags::WRITE, 0)?;
        let producer = Mapping::new(&fd, page + 2 * data_bytes, ProtFlags::READ, page as u64)?;
        let mut ring = Self {
            fd,
            consumer,
            producer,
            page,
            data_bytes,
            handed_out: 0,
            malformed: 0,
            event: PhantomData,
        };
        ring.handed_out = ring.consumer.position().load(Ordering::Acquire);
        Ok(ring)
    }

    /// Appends at most `limit` events that were not handed out yet, and says how many. They stay
    /// in the ring until [`EventRing::advance`].
    pub fn peek(&mut self, limit: usize, into: &mut Vec<E>) -> usize {
        let mut found = 0;
        while found < limit {
            if self.handed_out == self.producer.position().load(Ordering::Acquire) {
                break;
            }
            let header = self.header().load(Ordering::Acquire);
            if header & BUSY != 0 {
                break;
            }
            let bytes = (header & !(BUSY | DISCARDED)) as usize;
            if header & DISCARDED == 0 {
                match self.event(bytes) {
                    Some(event) => {
                        into.push(event);
                        found += 1;
                    }
                    None => self.malformed += 1,
                }
            }
            self.handed_out += (HEADER + bytes).next_multiple_of(8) as u64;
        }
        found
    }

    /// Forgets every event handed out so far. Call it when their records are durable.
    pub fn advance(&mut self) {
        self.consumer
            .position()
            .store(self.handed_out, Ordering::Release);
        // Either the next `peek` sees a record that was committed meanwhile, or its producer sees
        // the new position and wakes us (kernel/bpf/ringbuf.c `bpf_ringbuf_commit`).
        fence(Ordering::SeqCst);
    }

    /// Takes back what was handed out since the last [`EventRing::advance`]: the next `peek`
    /// finds it again. For a caller whose record could not be written.
    pub fn rewind(&mut self) {
        self.handed_out = self.consumer.position().load(Ordering::Acquire);
    }

    /// Records that had the wrong size and were passed over: a sign of mixed versions.
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }

    fn record(&self) -> NonNull<u8> {
        let offset = self.handed_out as usize & (self.data_bytes - 1);
        // SAFETY: the offset lies in the first copy of the data, which follows the producer page.
        unsafe { self.producer.start.add(self.page + offset) }
    }

    fn header(&self) -> &AtomicU32 {
        // SAFETY: records are 8-byte aligned, and the second copy of the data follows the first,
        // so the 8 bytes of a header are always mapped.
        unsafe { self.record().cast::<AtomicU32>().as_ref() }
    }

    fn event(&self, bytes: usize) -> Option<E> {
        if bytes != size_of::<E>() {
            return None;
        }
        // SAFETY: the record is committed (its header was loaded with Acquire and is not busy),
        // `size_of::<E>()` bytes long, mapped in a row thanks to the second copy, and the kernel
        // does not touch it until the consumer position passes it. Every bit pattern is an `E`.
        Some(unsafe { ptr::read_unaligned(self.record().add(HEADER).cast::<E>().as_ptr()) })
    }
}

impl<E> AsFd for EventRing<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<E> AsRawFd for EventRing<E> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// A shared mapping of part of a ring.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to its `EventRing` alone; what other parties (the kernel) write in
// it is read atomically or after an Acquire load.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: &OwnedFd, bytes: usize, access: ProtFlags, offset: u64) -> std::io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                bytes,
                access,
                MapFlags::SHARED,
                fd.as_fd(),
                offset,
            )?
        };
        let start = NonNull::new(start.cast::<u8>())
            .ok_or_else(|| std::io::Error::other("mmap gave a null mapping"))?;
        Ok(Self { start, bytes })
    }

    /// The position at the beginning of a consumer or producer mapping.
    fn position(&self) -> &AtomicU64 {
        // SAFETY: both mappings begin with an `unsigned long` position, 8 bytes on the 64-bit
        // kernels that have BPF LSM, page-aligned, and mapped as long as `self` lives. The kernel
        // and we touch it atomically alone.
        unsafe { self.start.cast::<AtomicU64>().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; nothing borrowed from it outlives `self`.
        // A failure would leave it mapped, which harms nothing.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
