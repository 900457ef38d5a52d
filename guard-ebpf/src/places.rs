//! From what a hook knows about a file to a returned value, as `judge` does for devices.
//!
//! Ordinary files leave after two or three loads: their file system is on a disk that holds no
//! place of the guard's, or is none of those whose files have meanings by name.

use core::ffi::c_void;

use guard_abi::{
    Decision, FileAct, FileName, FileRule, FileSystem, Hook, NameScope, ObjectKind, Op, PlaceEntry,
    PlaceKind, Policy, dev, maps as sizes, place_id,
};
use guard_ebpf::decide::Verdict;
use guard_ebpf::files::{self, FileObject, NameRule};

use crate::emit::Facts;
use crate::judge::{self, ALLOW};
use crate::kernel::{Dentry, Inode, copy_name};
use crate::maps::{FILE_NAMES, PLACES, SUPERBLOCKS};

/// Whether files of this inode's file system can be of interest, and which it is.
#[inline(always)]
pub fn watched(inode: Inode) -> Option<FileSystem> {
    let number = inode.superblock_dev();
    // File systems of the kernel's own have no disk (fs/super.c `get_anon_bdev`).
    let fs = if dev::major(number) == 0 {
        FileSystem::of_magic(inode.superblock_magic())
    } else {
        FileSystem::Other
    };
    if !matches!(fs, FileSystem::Other) {
        return Some(fs);
    }
    let slot = sizes::superblock_slot(number);
    let holds_places = SUPERBLOCKS.get(slot).copied().unwrap_or(0) != 0;
    holds_places.then_some(FileSystem::Other)
}

/// What is done, as the hook was told.
#[derive(Clone, Copy)]
pub struct Done {
    /// The hook.
    pub hook: Hook,
    /// What is done.
    pub act: FileAct,
    /// Open flags, where it is an open.
    pub open_flags: u32,
}

/// Judges an act on the file behind a directory entry. `inode` is the file where it exists,
/// otherwise the directory that it is made in.
#[inline(always)]
pub fn judge(fs: FileSystem, inode: Inode, dentry: Dentry, done: Done) -> i64 {
    let Some(policy) = judge::enforcing() else {
        return ALLOW;
    };
    let number = inode.superblock_dev();
    let own = match dentry.inode() {
        Some(inode) => place(fs, number, inode.number()),
        None => PlaceKind::None,
    };
    let parent = match dentry.parent().inode() {
        Some(parent) => place(fs, number, parent.number()),
        None => PlaceKind::None,
    };
    let object = FileObject {
        fs,
        own,
        parent,
        rule: rule(fs, dentry.name()),
    };
    let verdict = files::decide(judge::subject(), object, done.act);
    let ino = match dentry.inode() {
        Some(inode) => inode.number(),
        None => 0,
    };
    conclude(verdict, &policy, (fs, number, ino), dentry, done)
}

/// What a file is.
#[inline(always)]
fn place(fs: FileSystem, dev: u32, ino: u64) -> PlaceKind {
    let id = place_id(fs, dev, ino);
    // SAFETY: the entry is copied at once.
    let kind = match unsafe { PLACES.get(id) } {
        Some(PlaceEntry { kind, .. }) => *kind,
        None => return PlaceKind::None,
    };
    PlaceKind::from_u8(kind as u8).unwrap_or(PlaceKind::None)
}

/// What a name says.
#[inline(always)]
fn rule(fs: FileSystem, name: *const c_void) -> NameRule {
    if matches!(fs, FileSystem::Other) {
        return NameRule::NONE;
    }
    let mut key = FileName {
        fs: fs as u32,
        name: [0; 28],
    };
    if !copy_name(name, &mut key.name) {
        return NameRule::NONE;
    }
    // SAFETY: the entry is copied at once.
    let Some(FileRule { op, scope }) = unsafe { FILE_NAMES.get(key) }.copied() else {
        return NameRule::NONE;
    };
    NameRule {
        op: Op::from_u8(op as u8).unwrap_or(Op::Guard),
        scope: NameScope::from_u8(scope as u8).unwrap_or(NameScope::Nowhere),
    }
}

#[inline(always)]
fn conclude(
    verdict: Verdict,
    policy: &Policy,
    (fs, number, ino): (FileSystem, u32, u64),
    dentry: Dentry,
    done: Done,
) -> i64 {
    let verdict = verdict.under(policy);
    if matches!(verdict.decision, Decision::Allow) {
        return ALLOW;
    }
    judge::tell(&Facts {
        dev: number,
        device_flags: 0,
        cmd: done.act as u32,
        open_flags: done.open_flags,
        decision: verdict.decision as u8,
        reason: verdict.reason as u8,
        hook: done.hook as u8,
        op: verdict.op as u8,
        device_kind: ObjectKind::File as u8,
        device_class: 0,
        opcode: 0,
        has_opcode: 0,
        object_fs: fs as u8,
        object_ino: ino,
        dentry: dentry.0 as u64,
    })
}

/// A hook that is given a directory and an entry in it.
#[inline(always)]
pub fn entry(directory: Inode, dentry: Dentry, hook: Hook, act: FileAct) -> i64 {
    let Some(fs) = watched(directory) else {
        return ALLOW;
    };
    let done = Done {
        hook,
        act,
        open_flags: 0,
    };
    judge(fs, directory, dentry, done)
}
