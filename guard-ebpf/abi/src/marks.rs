//! A quick and exact no for files that are no place: what an open for writing asks before anything
//! is looked up. Bytes in the programs' own data, so that asking is a load and not a call.
//!
//! A mark says that there may be a place of that number, on whatever file system; no mark says that
//! there is none. Marks are never taken away: what a program reads while they are written, or after
//! a place has gone, can only cost it the look that it would have been spared.

#![allow(
    clippy::inline_always,
    reason = "asked in each open of a file, by programs that a call costs a frame"
)]

use crate::maps::{SUPERBLOCKS_MAX, superblock_slot};
use crate::{FileId, PlaceEntry, PlaceKind};

/// Bytes of each of the two tables.
const SLOTS: usize = 1 << 16;

/// What is known of the file systems that share a slot ([`superblock_slot`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing: every file is looked up. What is all zeros says this.
    LookUp,
    /// They hold no place.
    NoPlaces,
    /// Files without marks are no places, and lie in none.
    ByMarks,
}

/// [`Gate::NoPlaces`] as it is written. Not more than an instruction can compare with.
const NO_PLACES: u32 = i32::MAX as u32;

impl Gate {
    /// The meaning of a word. Marks count only as long as no place has been made since by the kernel
    /// half itself: `handed_over` is how often it has done so.
    #[inline(always)]
    pub const fn of(word: u32, handed_over: u64) -> Self {
        if word == NO_PLACES {
            Self::NoPlaces
        } else if word as u64 == handed_over.wrapping_add(1) {
            Self::ByMarks
        } else {
            Self::LookUp
        }
    }
}

/// [`Gate::ByMarks`] as it is written. 0, and with it [`Gate::LookUp`], where there is no room for
/// the number: two words have another meaning.
const fn by_marks(handed_over: u64) -> u32 {
    if handed_over < (NO_PLACES - 1) as u64 {
        handed_over as u32 + 1
    } else {
        0
    }
}

/// The slot of an inode number. Multiplied, because ext4 spreads directories over its groups by
/// steps of a power of two.
#[inline(always)]
pub const fn slot(ino: u64) -> usize {
    (ino.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize
}

/// The content of the programs' `.bss`, written by the controller alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// By [`superblock_slot`]: see [`Gate`].
    pub gates: [u32; SUPERBLOCKS_MAX as usize],
    /// By [`slot`]: a file or directory of this number may be a place.
    pub files: [u8; SLOTS],
    /// By [`slot`]: a directory of this number may be one whose files count.
    pub directories: [u8; SLOTS],
}

impl Marks {
    /// Knows nothing.
    #[allow(clippy::large_stack_arrays, reason = "a constant")]
    pub const EMPTY: Self = Self {
        files: [0; SLOTS],
        directories: [0; SLOTS],
        gates: [0; SUPERBLOCKS_MAX as usize],
    };

    /// Marks a place.
    pub const fn mark(&mut self, id: FileId, place: PlaceEntry) {
        if !is_on_disk(id) {
            return;
        }
        self.files[slot(id.ino)] = 1;
        // Of a file in such a directory nothing is said by it: `files::decide`. It holds the data of
        // a database, which opens files there all the time.
        if place.kind != PlaceKind::Mount as u16 {
            self.directories[slot(id.ino)] = 1;
        }
    }

    /// Until places are told anew: every file is looked up.
    pub const fn close_all(&mut self) {
        self.gates = [0; SUPERBLOCKS_MAX as usize];
    }

    /// While places are being written: file systems that are to hold some, and were not known to,
    /// have each file looked up.
    pub fn close(&mut self, places: impl Iterator<Item = FileId>) {
        for id in places.filter(|id| is_on_disk(*id)) {
            let gate = &mut self.gates[superblock_slot(id.dev) as usize];
            if is_whole(id) || *gate == NO_PLACES {
                *gate = 0;
            }
        }
    }

    /// When these are all places that there are, and all are marked.
    pub fn open(&mut self, places: impl Iterator<Item = FileId>, handed_over: u64) {
        let mut gates = [NO_PLACES; SUPERBLOCKS_MAX as usize];
        for id in places.filter(|id| is_on_disk(*id)) {
            let gate = &mut gates[superblock_slot(id.dev) as usize];
            // A file system that is one place as a whole: there is nothing to be marked.
            if is_whole(id) {
                *gate = 0;
            } else if *gate == NO_PLACES {
                *gate = by_marks(handed_over);
            }
        }
        self.gates = gates;
    }

    /// What is known of the file system with this `s_dev`.
    pub const fn gate(&self, dev: u32, handed_over: u64) -> Gate {
        Gate::of(self.gates[superblock_slot(dev) as usize], handed_over)
    }
}

/// Whether this is the key of what lies on a file system that is not one tree in every mount; paths
/// as text and the files of such trees are not looked up by these programs.
const fn is_on_disk(id: FileId) -> bool {
    id.reserved == 0
}

/// See [`crate::whole_id`].
const fn is_whole(id: FileId) -> bool {
    id.ino == 0
}
