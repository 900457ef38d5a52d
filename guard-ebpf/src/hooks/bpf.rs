//! LSM `bpf`: kernel/bpf/syscall.c `__sys_bpf`, with the command's attributes already copied from
//! user space.

use core::ffi::c_void;

use aya_ebpf::programs::LsmContext;
use guard_abi::{Hook, own};
use guard_ebpf::itself;

use crate::judge::{self, ALLOW};
use crate::kernel::{AnyTask, BpfAttr};
use crate::maps::OWN_OBJECTS;
use crate::places;

/// `int bpf(int cmd, union bpf_attr *attr, unsigned int size)`, from 6.16 on with `bool kernel`.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/bpf")]
extern "C" fn bpf(ctx: *mut c_void) -> i64 {
    let args = LsmContext::new(ctx);
    let command: u32 = args.arg(0);
    let Some(changed) = itself::changed_by(command) else {
        return ALLOW;
    };
    let attr = BpfAttr(args.arg(1));
    // The verifier wants constant offsets.
    let descriptor = if changed.descriptor_at == 0 {
        attr.word(0)
    } else {
        attr.word(36)
    };
    let Some(object) = AnyTask::current().bpf_object(descriptor, changed.kind) else {
        return ALLOW;
    };
    // SAFETY: the entry is copied at once.
    match unsafe { OWN_OBJECTS.get(object) }.copied() {
        None => ALLOW,
        Some(own::CANARY) => judge::refuse_canary(),
        Some(_) => places::system(Hook::Bpf, command, itself::change),
    }
}
