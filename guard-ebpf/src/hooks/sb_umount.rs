//! LSM `sb_umount`: fs/namespace.c `do_umount`. An ordinary umount fails by itself while the file
//! system is used; a lazy one succeeds.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{FileAct, Hook, PlaceKind};
use guard_ebpf::mounting::{self, MountAct};

use crate::judge::ALLOW;
use crate::kernel::VfsMount;
use crate::mounts::{self, Doing};
use crate::places;

// include/linux/fs.h
const MNT_FORCE: u32 = 1;
const MNT_DETACH: u32 = 2;

/// `int sb_umount(struct vfsmount *mnt, int flags)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/sb_umount")]
extern "C" fn sb_umount(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(2);
    if previous != 0 {
        return previous;
    }
    let mount = VfsMount(args.arg(0));
    let root = mount.root();
    let flags: u32 = args.arg(1);
    let place = places::directory(root);
    if matches!(place, PlaceKind::None) {
        return ALLOW;
    }
    let can_be_forced = match root.inode() {
        Some(inode) => mounting::can_be_forced(inode.superblock_magic()),
        None => true,
    };
    let what = MountAct::Unmount {
        place,
        lazy: flags & MNT_DETACH != 0,
        forced: flags & MNT_FORCE != 0 && can_be_forced,
    };
    let doing = Doing {
        act: FileAct::Unmount,
        at: root,
        what,
        propagates: mount.is_mounted_on_one_that_propagates(),
    };
    mounts::judge(Hook::SbUmount, Some(doing))
}
