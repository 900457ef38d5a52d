//! From what a hook knows about a mount to a returned value.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use guard_abi::{FileAct, FileSystem, Hook, PlaceKind};
use guard_ebpf::mounting::{self, Doer, MountAct};

use crate::judge::{self, ALLOW};
use crate::kernel::{AnyTask, Dentry, Path};
use crate::places::{self, Done};

/// What is done, and at which directory.
#[derive(Clone, Copy)]
pub struct Doing {
    /// As the event names it.
    pub act: FileAct,
    /// Where.
    pub at: Dentry,
    /// As it is judged.
    pub what: MountAct,
    /// It is done in the host's mount namespace, too, whose ever the doer's is.
    pub propagates: bool,
}

/// Something is mounted over what the path leads to; `None` where nothing of interest is.
#[inline(always)]
pub fn cover(path: Path) -> Option<Doing> {
    at_place(path, FileAct::MountOver, MountAct::Cover)
}

/// The file system that the path leads to is made read-only.
#[inline(always)]
pub fn read_only(path: Path) -> Option<Doing> {
    at_place(path, FileAct::ReadOnly, MountAct::ReadOnly)
}

/// The file system that the path leads to is told to stop.
#[inline(always)]
pub fn abort(path: Path) -> Option<Doing> {
    at_place(path, FileAct::ReadOnly, MountAct::Abort)
}

#[inline(always)]
fn at_place(path: Path, act: FileAct, what: impl FnOnce(PlaceKind) -> MountAct) -> Option<Doing> {
    let at = path.dentry();
    match places::directory(at) {
        PlaceKind::None => None,
        place => Some(Doing {
            act,
            at,
            what: what(place),
            propagates: path.mount().propagates(),
        }),
    }
}

/// The mount that a path leads to is moved.
#[inline(always)]
pub fn moved(from: Path) -> Option<Doing> {
    let at = from.dentry();
    let place = places::directory(at);
    // A copy of a critical mount (a bind mount by open_tree(2)) is attached the same way.
    if matches!(place, PlaceKind::None)
        || from.mount().namespace() != AnyTask::current().mount_namespace()
    {
        return None;
    }
    Some(Doing {
        act: FileAct::MoveMount,
        at,
        what: MountAct::Move(place),
        propagates: false,
    })
}

/// A mount is moved that is named by text, relative to a directory that is not known here. `to` is
/// where to.
#[inline(always)]
pub fn moved_by_name(from: *const c_void, to: Path) -> Option<Doing> {
    // SAFETY: the helper checks the address itself.
    let first = unsafe { bpf_probe_read_kernel(from.cast::<u8>()) }.unwrap_or(0);
    let what = if first == b'/' {
        match places::named(from) {
            PlaceKind::None => return None,
            place => MountAct::Move(place),
        }
    } else {
        MountAct::MoveUnknown
    };
    Some(Doing {
        act: FileAct::MoveMount,
        at: to.dentry(),
        what,
        propagates: false,
    })
}

/// Judges what a hook has found. Once in each hook: every copy of it is as many paths more for the
/// verifier.
#[inline(always)]
pub fn judge(hook: Hook, doing: Option<Doing>) -> i64 {
    let Some(Doing {
        act,
        at,
        what,
        propagates,
    }) = doing
    else {
        return ALLOW;
    };
    let Some(policy) = judge::enforcing() else {
        return ALLOW;
    };
    let task = AnyTask::current();
    let doer = Doer {
        in_host_namespace: propagates || task.is_in_host_mount_namespace(),
        is_init: task.tgid() == 1,
    };
    let verdict = mounting::decide(judge::subject(), doer, what);
    let (fs, number, ino) = match at.inode() {
        Some(inode) => (
            places::watched(inode).unwrap_or(FileSystem::Other),
            inode.superblock_dev(),
            inode.number(),
        ),
        None => (FileSystem::Other, 0, 0),
    };
    let done = Done {
        hook,
        act,
        open_flags: 0,
    };
    places::conclude(verdict, &policy, (fs, number, ino), at, done)
}
