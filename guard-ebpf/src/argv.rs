//! Walking the command line of a process that has just been executed.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_user_str;
use guard_abi::ArgumentName;

/// Bytes of [`ArgumentName::text`].
pub const TEXT_BYTES: usize = 124;

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A whole argument; it stands in the buffer, zero-padded.
    Whole,
    /// The beginning, or another part, of one that is longer than the buffer.
    Part,
    /// There are no more.
    End,
    /// User memory could not be read.
    Unreadable,
}

/// A number in map memory. The verifier does not follow values through it, so that every turn of a
/// loop that keeps its state here looks the same to it, and it walks the loop once.
#[repr(transparent)]
pub struct Forgotten<T>(T);

impl<T: Copy> Forgotten<T> {
    /// The number.
    #[inline(always)]
    pub fn get(&self) -> T {
        // SAFETY: a reference. Volatile: the compiler must not keep it in a register instead.
        unsafe { (&raw const self.0).read_volatile() }
    }

    /// Replaces the number.
    #[inline(always)]
    pub fn set(&mut self, to: T) {
        // SAFETY: as above.
        unsafe { (&raw mut self.0).write_volatile(to) };
    }
}

/// Position in a command line.
#[repr(C)]
pub struct Position {
    next: Forgotten<u64>,
    end: Forgotten<u64>,
    /// 1: the next piece continues an argument that did not fit.
    continued: Forgotten<u64>,
}

impl Position {
    /// Goes to the beginning: `mm->arg_start` and `mm->arg_end`.
    #[inline(always)]
    pub fn begin(&mut self, (start, end): (u64, u64)) {
        self.next.set(start);
        self.end.set(end);
        self.continued.set(0);
    }

    /// Reads the next argument, or the next piece of a long one.
    #[inline(always)]
    pub fn read(&mut self, into: &mut ArgumentName) -> Found {
        let from = self.next.get();
        if from >= self.end.get() {
            return Found::End;
        }
        clear(into);
        // SAFETY: at most `TEXT_BYTES` bytes are written; the helper checks the source itself.
        let bytes = unsafe {
            bpf_probe_read_user_str(
                into.text.as_mut_ptr().cast(),
                TEXT_BYTES as u32,
                from as *const c_void,
            )
        };
        let Some(bytes) = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0) else {
            return Found::Unreadable;
        };
        let was_continued = self.continued.get();
        if bytes == TEXT_BYTES as u64 {
            // The last byte is the helper's own terminator; the argument may go on there.
            self.next.set(from.wrapping_add(TEXT_BYTES as u64 - 1));
            self.continued.set(1);
            return Found::Part;
        }
        self.next.set(from.wrapping_add(bytes));
        self.continued.set(0);
        if was_continued != 0 {
            Found::Part
        } else {
            Found::Whole
        }
    }
}

/// Words of a text in a key of a map.
#[inline(always)]
#[allow(
    clippy::cast_ptr_alignment,
    reason = "texts stand at byte 4 of structs aligned to 4"
)]
pub const fn words_mut(text: &mut [u8]) -> *mut u32 {
    text.as_mut_ptr().cast()
}

/// Words of a text in a key of a map.
#[inline(always)]
#[allow(
    clippy::cast_ptr_alignment,
    reason = "texts stand at byte 4 of structs aligned to 4"
)]
pub const fn words_of(text: &[u8]) -> *const u32 {
    text.as_ptr().cast()
}

/// Zeroes the text. Word by word: what the compiler makes of an assignment is a loop over bytes,
/// which the verifier walks 124 times for each argument.
#[inline(always)]
fn clear(argument: &mut ArgumentName) {
    let words = words_mut(&mut argument.text);
    for at in 0..TEXT_BYTES / 4 {
        // SAFETY: in the text, which begins at a multiple of 4 in a struct aligned to 4.
        unsafe { words.add(at).write_volatile(0) };
    }
}

/// Bytes of an argument that are searched for an equals sign: a whole number of words.
const OPTION_BYTES: usize = 32;

/// Cuts an argument behind its first equals sign: `--addtag=old` becomes `--addtag=`. False where the
/// first [`OPTION_BYTES`] have none. Arithmetic, so that the verifier has one path.
#[inline(always)]
pub fn cut_value(argument: &mut ArgumentName) -> bool {
    let mut cut = 0_u64;
    for byte in &mut argument.text[..OPTION_BYTES] {
        let found = u64::from(*byte);
        // All ones until the sign has been seen, then zero.
        *byte = (found & opaque(cut).wrapping_sub(1)) as u8;
        // 1 for an equals sign, 0 for any other byte.
        cut |= opaque((found ^ u64::from(b'=')).wrapping_sub(1) >> 63);
    }
    if cut == 0 {
        return false;
    }
    let words = words_mut(&mut argument.text);
    for at in OPTION_BYTES / 4..TEXT_BYTES / 4 {
        // SAFETY: in the text, which begins at a multiple of 4 in a struct aligned to 4.
        unsafe { words.add(at).write_volatile(0) };
    }
    true
}

/// A text as the first words of a zero-padded argument, with at least one zero behind it.
pub const fn words<const N: usize>(text: &[u8]) -> [u32; N] {
    assert!(
        text.len() < 4 * N,
        "the terminator must be part of the comparison"
    );
    let mut words = [0; N];
    let mut at = 0;
    while at < text.len() {
        words[at / 4] |= (text[at] as u32) << (at % 4 * 8);
        at += 1;
    }
    words
}

/// Whether an argument begins with exactly these words. One branch at the end instead of one a
/// byte: the verifier walks every path there is.
#[inline(always)]
pub fn begins<const N: usize>(argument: &ArgumentName, wanted: &[u32; N]) -> bool {
    const { assert!(N * 4 <= TEXT_BYTES) };
    // SAFETY: `text` has at least `N` words (asserted) and stands at a multiple of 4 in a struct
    // aligned to 4.
    let found = unsafe { &*words_of(&argument.text).cast::<[u32; N]>() };
    same(found, wanted)
}

/// Whether two arrays are equal, without a branch for each word.
#[inline(always)]
pub fn same<const N: usize>(one: &[u32; N], other: &[u32; N]) -> bool {
    let mut different = 0;
    let mut at = 0;
    while at < N {
        different |= opaque(u64::from(one[at] ^ other[at]));
        at += 1;
    }
    different == 0
}

/// The same number, but the compiler does not know that, and so cannot turn arithmetic back into
/// branches.
#[inline(always)]
pub fn opaque(number: u64) -> u64 {
    let mut opaque = number;
    // SAFETY: moves a register to itself. (With no instruction at all, two lines of source would
    // belong to one instruction, and the kernel refuses such line information.)
    unsafe { asm!("{0} = {0}", inout(reg) opaque, options(pure, nomem, nostack)) };
    opaque
}
