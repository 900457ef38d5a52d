//! LSM `sb_pivotroot`: fs/namespace.c `pivot_root`.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{FileAct, Hook};
use guard_ebpf::mounting::MountAct;

use crate::kernel::Path;
use crate::mounts::{self, Doing};

/// `int sb_pivotroot(const struct path *old_path, const struct path *new_path)`. The kernel calls
/// "old" what is to become the new root's directory for the old one.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/sb_pivotroot")]
extern "C" fn sb_pivotroot(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let previous: i64 = args.arg(2);
    if previous != 0 {
        return previous;
    }
    let root = Path(args.arg(1)).dentry();
    let doing = Doing {
        act: FileAct::PivotRoot,
        at: root,
        what: MountAct::Pivot,
        propagates: false,
    };
    mounts::judge(Hook::SbPivotroot, Some(doing))
}
