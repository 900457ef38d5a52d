//! From what a hook knows about a file to a returned value, as `judge` does for devices.
//!
//! Ordinary files leave after a few loads: their file system is on a disk that holds no place of the
//! guard's, or neither they nor their directory have a mark ([`guard_abi::marks`]).

use core::ffi::c_void;
use core::mem::MaybeUninit;

use guard_abi::marks::Gate;
use guard_abi::{
    Decision, FILE_NAME_BYTES, FileAct, FileName, FileRule, FileSystem, Hook, NameScope,
    ObjectKind, Op, PATH_ID_BYTES, PlaceEntry, PlaceKind, Policy, dev, maps as sizes, path_id,
    place_id, whole_id,
};
use guard_ebpf::decide::{Subject, Verdict};
use guard_ebpf::files::{self, FileObject, NameRule};

use crate::argv::opaque;
use crate::claims;
use crate::emit::{Facts, Opcode};
use crate::judge::{self, ALLOW};
use crate::kernel::{Dentry, Inode, copy_name};
use crate::maps::{FILE_NAMES, PLACES, SUPERBLOCKS, TOOLS};
use crate::marks;

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

/// Whether [`judge`] would find no place, told without looking anything up: `on` is a file of the
/// file system, `own` the file itself where it exists. Where it cannot be told the answer is no.
#[inline(always)]
pub fn is_ordinary(on: Inode, own: Option<Inode>, dentry: Dentry) -> bool {
    let number = on.superblock_dev();
    if dev::major(number) == 0
        && !matches!(
            FileSystem::of_magic(on.superblock_magic()),
            FileSystem::Other
        )
    {
        return false;
    }
    match marks::gate(number) {
        Gate::NoPlaces => return true,
        Gate::LookUp => return false,
        Gate::ByMarks => {}
    }
    if own.is_some_and(|own| marks::file(own.number())) {
        return false;
    }
    match dentry.parent().inode() {
        Some(directory) => !marks::directory(directory.number()),
        None => false,
    }
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
        Some(inode) => place(fs, number, inode),
        None => PlaceKind::None,
    };
    let mut parent = parent(fs, number, dentry);
    if matches!(parent, PlaceKind::None) && matches!(fs, FileSystem::Other) {
        parent = whole(number);
    }
    let among_boot_files = matches!(own, PlaceKind::Boot) || matches!(parent, PlaceKind::Boot);
    let rule = if matches!(fs, FileSystem::Other) && !among_boot_files {
        NameRule::NONE
    } else {
        by_name(fs, dentry)
    };
    let object = FileObject {
        fs,
        own,
        parent,
        rule,
    };
    let verdict = files::decide(judge::subject(), object, done.act);
    let ino = match dentry.inode() {
        Some(inode) => inode.number(),
        None => 0,
    };
    conclude(verdict, &policy, (fs, number, ino), dentry, done)
}

/// Directories above a pinned object that are looked at. (In bpffs directories come and go with the
/// sets of links; the guard's own root is what lasts.)
const DEEP: usize = 5;

/// What the directory is that a file lies in. Among pinned objects everything below a place counts.
#[inline(always)]
fn parent(fs: FileSystem, number: u32, dentry: Dentry) -> PlaceKind {
    let mut at = dentry.parent();
    let levels = if matches!(fs, FileSystem::Bpf) {
        DEEP
    } else {
        1
    };
    for level in 0..DEEP {
        if level >= levels {
            break;
        }
        let kind = match at.inode() {
            Some(inode) => place(fs, number, inode),
            None => PlaceKind::None,
        };
        if !matches!(kind, PlaceKind::None) {
            return kind;
        }
        at = at.parent();
    }
    PlaceKind::None
}

/// A file of the guard's program is replaced by another (`rename` of a package manager): what the
/// old one is and may do, the new one is and may do from now on, whether or not a controller lives
/// to see it.
#[inline(always)]
pub fn hand_over(new: Dentry, old: Dentry) {
    let (Some(new), Some(old)) = (new.inode(), old.inode()) else {
        return;
    };
    if !matches!(watched(old), Some(FileSystem::Other)) {
        return;
    }
    let generation = new.generation();
    let (new, old) = (new.id(), old.id());
    // SAFETY: the entry is copied at once.
    let Some(place) = (unsafe { PLACES.get(old) }).copied() else {
        return;
    };
    if place.kind != PlaceKind::GuardProgram as u16 {
        return;
    }
    // Where a table is full, the controller says so as soon as it looks.
    let place = PlaceEntry {
        operand: generation,
        ..place
    };
    let _ = PLACES.insert(new, place, 0);
    marks::handed_over();
    // SAFETY: the entry is copied at once.
    if let Some(rule) = unsafe { TOOLS.get(old) }.copied() {
        let _ = TOOLS.insert(new, rule, 0);
    }
}

/// What a file is.
#[inline(always)]
fn place(fs: FileSystem, dev: u32, inode: Inode) -> PlaceKind {
    // SAFETY: the entry is copied at once.
    let entry = unsafe { PLACES.get(place_id(fs, dev, inode.number())) }.copied();
    let Some(PlaceEntry {
        kind,
        condition,
        operand,
    }) = entry
    else {
        return PlaceKind::None;
    };
    if condition == PlaceEntry::OF_GENERATION && operand != inode.generation() {
        return PlaceKind::None;
    }
    if condition == PlaceEntry::WHILE_CLAIMED && claims::are_gone_for_this_process(operand) {
        return PlaceKind::None;
    }
    PlaceKind::from_u8(kind as u8).unwrap_or(PlaceKind::None)
}

/// What a file system is as a whole.
#[inline(always)]
fn whole(dev: u32) -> PlaceKind {
    // SAFETY: the entry is read at once.
    unsafe { PLACES.get(whole_id(dev)) }.map_or(PlaceKind::None, |entry| {
        PlaceKind::from_u8(entry.kind as u8).unwrap_or(PlaceKind::None)
    })
}

/// What a path is, as it was given.
#[inline(always)]
pub fn named(path: *const c_void) -> PlaceKind {
    const WORDS: usize = PATH_ID_BYTES / 8;
    let mut words = MaybeUninit::<[u64; WORDS]>::uninit();
    for at in 0..WORDS {
        // Volatile: the compiler would call `memset`, which 5.10 does not take as a function.
        // SAFETY: in the array.
        unsafe { words.as_mut_ptr().cast::<u64>().add(at).write_volatile(0) };
    }
    // SAFETY: as many bytes, all of them written, and bytes need no alignment.
    let text = unsafe { &mut *words.as_mut_ptr().cast::<[u8; PATH_ID_BYTES]>() };
    if !copy_name(path, text) {
        return PlaceKind::None;
    }
    // SAFETY: the entry is read at once.
    unsafe { PLACES.get(path_id(text)) }.map_or(PlaceKind::None, |entry| {
        PlaceKind::from_u8(entry.kind as u8).unwrap_or(PlaceKind::None)
    })
}

/// What a directory is, for mounts.
#[inline(always)]
pub fn directory(dentry: Dentry) -> PlaceKind {
    let Some(inode) = dentry.inode() else {
        return PlaceKind::None;
    };
    match watched(inode) {
        Some(fs) => place(fs, inode.superblock_dev(), inode),
        None => PlaceKind::None,
    }
}

/// What a name says.
#[inline(always)]
fn rule(fs: FileSystem, name: *const c_void) -> NameRule {
    let mut key = FileName {
        fs: fs as u32,
        name: [0; 28],
    };
    if !copy_name(name, &mut key.name) {
        return NameRule::NONE;
    }
    if matches!(fs, FileSystem::Other) {
        to_lower_case(&mut key.name);
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

/// What the name of an entry says, or, in procfs, that of the directory above its own: the devices of a
/// bus have numbers for names there.
#[inline(always)]
fn by_name(fs: FileSystem, dentry: Dentry) -> NameRule {
    let own = rule(fs, dentry.name());
    if !matches!(fs, FileSystem::Proc) || !matches!(own.scope, NameScope::Nowhere) {
        return own;
    }
    rule(fs, dentry.parent().parent().name())
}

/// Without a branch, so that the verifier has one path.
#[inline(always)]
fn to_lower_case(name: &mut [u8; FILE_NAME_BYTES]) {
    for byte in name {
        let is_upper = opaque(u64::from(byte.wrapping_sub(b'A')).wrapping_sub(26) >> 63);
        *byte |= (is_upper << 5) as u8;
    }
}

#[inline(always)]
pub fn conclude(
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
    judge::tell_of_host(&mut Facts {
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
        opcode: Opcode::NONE,
        object_fs: fs as u8,
        object_ino: ino,
        dentry: dentry.0 as u64,
        grant: 0,
        told_later: false,
    })
}

/// Judges an act on the machine or the running kernel: `decide` is asked only while the host is
/// armed or held. `detail` is what the hook has to say ([`guard_abi::DenialEvent::cmd`]).
#[inline(always)]
pub fn system(hook: Hook, detail: u32, decide: impl FnOnce(Subject) -> Verdict) -> i64 {
    let Some(policy) = judge::enforcing() else {
        return ALLOW;
    };
    let verdict = decide(judge::subject()).under(&policy);
    if matches!(verdict.decision, Decision::Allow) {
        return ALLOW;
    }
    judge::tell_of_host(&mut Facts {
        dev: 0,
        device_flags: 0,
        cmd: detail,
        open_flags: 0,
        decision: verdict.decision as u8,
        reason: verdict.reason as u8,
        hook: hook as u8,
        op: verdict.op as u8,
        device_kind: ObjectKind::System as u8,
        device_class: 0,
        opcode: Opcode::NONE,
        object_fs: 0,
        object_ino: 0,
        dentry: 0,
        grant: 0,
        told_later: false,
    })
}

/// A hook that is given a directory and an entry in it.
#[inline(always)]
pub fn entry(directory: Inode, dentry: Dentry, hook: Hook, act: FileAct) -> i64 {
    if is_ordinary(directory, dentry.inode(), dentry) {
        return ALLOW;
    }
    let Some(fs) = watched(directory) else {
        return ALLOW;
    };
    let done = Done {
        hook,
        act,
        open_flags: 0,
    };
    // Before it is decided, and so for what is refused too, which costs the controller a look: the
    // verifier would walk this once for each way in which a decision can end.
    if files::may_bring(act) && is_of_files(fs, directory) {
        marks::handed_over();
    }
    judge(fs, directory, dentry, done)
}

/// Whether this is a directory of a disk whose files count. What is put there has no mark of its own
/// until the controller has seen it. (It will: it counts first what has been added and reads the
/// directory then, which waits for whoever holds it locked: fs/namei.c does, around the hook and
/// what it is asked about.)
#[inline(always)]
fn is_of_files(fs: FileSystem, directory: Inode) -> bool {
    let number = directory.superblock_dev();
    matches!(fs, FileSystem::Other)
        && dev::major(number) != 0
        && !matches!(
            place(fs, number, directory),
            PlaceKind::None | PlaceKind::Mount
        )
}
