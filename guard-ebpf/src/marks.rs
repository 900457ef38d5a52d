//! Marks of places, in the programs' own data: the loaders make a map of each of the two sections
//! ([`guard_abi::maps::SECTIONS`]), and reading it takes no look-up.

use core::cell::UnsafeCell;

use guard_abi::maps as sizes;
use guard_abi::marks::{ADDITION, Gate, Marks, PLAIN, plain, slot};

use crate::emit;
use crate::kernel::Inode;

/// What others write to. Every read is volatile: the compiler must not believe the zeros.
#[repr(transparent)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: loads of one byte or word, and an atomic addition.
unsafe impl<T> Sync for Shared<T> {}

/// See [`sizes::MARKS`].
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss")]
static MARKS: Shared<Marks> = Shared(UnsafeCell::new(Marks::EMPTY));

/// See [`sizes::HANDED_OVER`].
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.handed")]
static HANDED_OVER: Shared<u64> = Shared(UnsafeCell::new(0));

/// Says that there is a place, or something in one, that the controller does not know of.
#[inline(always)]
pub fn handed_over() {
    emit::add(HANDED_OVER.0.get(), ADDITION);
}

/// [`Marks::is_plain`]. An open of an ordinary file asks for nothing else.
#[inline(always)]
pub fn is_plain(inode: Inode) -> bool {
    let number = inode.superblock_dev();
    // SAFETY: a static.
    let handed_over = unsafe { HANDED_OVER.0.get().read_volatile() };
    let wanted = plain(number, handed_over);
    // SAFETY: places in a static.
    let told = |at: usize| unsafe {
        let words = &raw const (*MARKS.0.get()).plain;
        words.cast::<u64>().add(at).read_volatile()
    };
    if told(0) != wanted && told(1) != wanted && told(2) != wanted {
        return false;
    }
    !file(inode.number())
}

const _: () = assert!(PLAIN == 3);

/// What is known of the file system with this `s_dev`.
#[inline(always)]
pub fn gate(dev: u32) -> Gate {
    let at = sizes::superblock_slot(dev) as usize;
    // SAFETY: a place in a static, and a slot in the array.
    let word = unsafe {
        let gates = &raw const (*MARKS.0.get()).gates;
        gates.cast::<u32>().add(at).read_volatile()
    };
    // SAFETY: a static.
    let handed_over = unsafe { HANDED_OVER.0.get().read_volatile() };
    Gate::of(word, handed_over)
}

/// Whether a file of this number may be a place.
#[inline(always)]
pub fn file(ino: u64) -> bool {
    // SAFETY: a place in a static, and a slot in the array.
    unsafe {
        let files = &raw const (*MARKS.0.get()).files;
        files.cast::<u8>().add(slot(ino)).read_volatile() != 0
    }
}

/// Whether a directory of this number may be one whose files count.
#[inline(always)]
pub fn directory(ino: u64) -> bool {
    // SAFETY: a place in a static, and a slot in the array.
    unsafe {
        let directories = &raw const (*MARKS.0.get()).directories;
        directories.cast::<u8>().add(slot(ino)).read_volatile() != 0
    }
}
