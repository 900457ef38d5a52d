//! A quick and exact no for files that are no place: what an open for writing asks before anything
//! is looked up. Bytes in the programs' own data, so that asking is a load and not a call.
//!
//! A mark says that there may be a place of that number, on whatever file system, or something that
//! lies in one; no mark says that there is none. Marks are never taken away: what a program reads
//! while they are written, or after a place has gone, can only cost it the look that it would have
//! been spared.

#![allow(
    clippy::inline_always,
    reason = "asked in each open of a file, by programs that a call costs a frame"
)]

use crate::maps::{SUPERBLOCKS_MAX, superblock_slot};
use crate::{FileId, PlaceEntry, PlaceKind, dev};

/// Bytes of each of the two tables.
const SLOTS: usize = 1 << 16;
/// File systems that are told one by one.
pub const PLAIN: usize = 3;
/// What one addition adds to `HANDED_OVER` ([`crate::maps::HANDED_OVER`]): the number of a device
/// finds room below.
pub const ADDITION: u64 = 1 << 32;

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
    /// The meaning of a word. Marks count only as long as nothing has been added since:
    /// `handed_over` is the word that additions are counted in.
    #[inline(always)]
    pub const fn of(word: u32, handed_over: u64) -> Self {
        if word == NO_PLACES {
            Self::NoPlaces
        } else if word as u64 == handed_over / ADDITION + 1 {
            Self::ByMarks
        } else {
            Self::LookUp
        }
    }
}

/// [`Gate::ByMarks`] as it is written. 0, and with it [`Gate::LookUp`], where there is no room for
/// the number: two words have another meaning.
const fn by_marks(handed_over: u64) -> u32 {
    let additions = handed_over / ADDITION;
    if additions < (NO_PLACES - 1) as u64 {
        additions as u32 + 1
    } else {
        0
    }
}

/// The word of a file system whose files are judged by their own marks, for as long as nothing is
/// added. No file system has the number 0.
#[inline(always)]
pub const fn plain(dev: u32, handed_over: u64) -> u64 {
    handed_over.wrapping_add(dev as u64)
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
    /// Words of file systems on disks, made by [`plain`]: all that lies in directories whose files
    /// count has a mark of its own there, and an open need not ask for the directory.
    pub plain: [u64; PLAIN],
    /// By [`slot`]: a file or directory of this number may be a place, or lie in one.
    pub files: [u8; SLOTS],
    /// By [`superblock_slot`]: see [`Gate`].
    pub gates: [u32; SUPERBLOCKS_MAX as usize],
    /// By [`slot`]: a directory of this number may be one whose files count.
    pub directories: [u8; SLOTS],
}

impl Marks {
    /// Knows nothing.
    #[allow(clippy::large_stack_arrays, reason = "a constant")]
    pub const EMPTY: Self = Self {
        plain: [0; PLAIN],
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

    /// Marks what lies in a directory whose files count.
    pub const fn mark_member(&mut self, ino: u64) {
        self.files[slot(ino)] = 1;
    }

    /// Until places are told anew: every file is looked up.
    pub const fn close_all(&mut self) {
        self.plain = [0; PLAIN];
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
        for at in 0..PLAIN {
            // The lower half is the number ([`plain`]).
            if self.gates[superblock_slot(self.plain[at] as u32) as usize] == 0 {
                self.plain[at] = 0;
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
        self.plain = [0; PLAIN];
    }

    /// After [`open`](Self::open), when all that lies in directories whose files count is marked:
    /// the first of these file systems are judged by the marks of files alone.
    pub fn open_plain(&mut self, on: impl Iterator<Item = u32>, handed_over: u64) {
        let gates = self.gates;
        let is_on_disk = |dev: &u32| dev::major(*dev) != 0;
        let by_marks = |dev: &u32| {
            let word = gates[superblock_slot(*dev) as usize];
            Gate::of(word, handed_over) == Gate::ByMarks
        };
        let found = on.filter(|dev| is_on_disk(dev) && by_marks(dev));
        for (word, dev) in self.plain.iter_mut().zip(found) {
            *word = plain(dev, handed_over);
        }
    }

    /// Whether an open for writing of a file that exists is of nobody's interest.
    pub fn is_plain(&self, dev: u32, ino: u64, handed_over: u64) -> bool {
        self.plain.contains(&plain(dev, handed_over)) && self.files[slot(ino)] == 0
    }

    /// Whether nothing has been added since these were opened.
    pub fn is_up_to(&self, handed_over: u64) -> bool {
        let is = |word: &u32| Gate::of(*word, handed_over) == Gate::ByMarks;
        self.gates.iter().any(is)
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
