//! From what a hook knows about a character device that steers the machine to a returned value, as
//! `judge` does for drives.

use aya_ebpf::helpers::generated::bpf_probe_read_user_str;
use core::ffi::c_void;

use guard_abi::{
    DM_TEXT_BYTES, Decision, DeviceKey, DeviceKind, Hook, Op, Reason, device_flag, dm_key,
};
use guard_ebpf::control::ipmi::{self, Message};
use guard_ebpf::control::{self, Control, Meaning, mapper};
use guard_ebpf::decide::{Access, Verdict};

use crate::arguments::{Sent, user};
use crate::emit::{Facts, Opcode};
use crate::judge::{self, ALLOW};
use crate::maps::{DEVICES, DM_NAMES};

/// Judges an open.
#[inline(always)]
pub fn open(control: Control, dev: u32, access: Access, open_flags: u32) -> i64 {
    let verdict = control::open(control, access);
    conclude(verdict, dev, Hook::FileOpen, 0, open_flags, Opcode::NONE)
}

/// Judges an ioctl.
#[inline(always)]
pub fn command(hook: Hook, control: Control, dev: u32, sent: Sent) -> i64 {
    let (verdict, opcode) = match control::command(control, sent.cmd) {
        Meaning::Known(verdict) => (verdict, Opcode::NONE),
        _ if judge::enforcing().is_none() => return ALLOW,
        Meaning::Bmc { compat } => match message(sent.argument, compat) {
            Some(message) => (ipmi::message(message), Opcode::of(message.cmd)),
            None => (UNREADABLE_MESSAGE, Opcode::NONE),
        },
        Meaning::Mapper(act) => (mapper_device(act, sent.argument), Opcode::NONE),
    };
    conclude(verdict, dev, hook, sent.cmd, 0, opcode)
}

const UNREADABLE_MESSAGE: Verdict = Verdict::deny(Op::Bmc, Reason::UnreadableArgument);
const UNREADABLE_DEVICE: Verdict = Verdict::deny(Op::Detach, Reason::UnreadableArgument);

/// `struct ipmi_req` and the `struct ipmi_msg` in it (include/uapi/linux/ipmi.h), or their 32-bit
/// twins (drivers/char/ipmi/ipmi_devintf.c).
#[inline(always)]
fn message(argument: u64, compat: bool) -> Option<Message> {
    let at = argument.wrapping_add(if compat { 12 } else { 24 });
    let [netfn, cmd] = user::<[u8; 2]>(at, 0)?;
    let length = user::<u16>(at, 2)?;
    let data = if compat {
        u64::from(user::<u32>(at, 4)?)
    } else {
        user::<u64>(at, 8)?
    };
    let mut message = Message {
        netfn,
        cmd,
        data: [0; ipmi::DATA_BYTES],
    };
    if length >= ipmi::DATA_BYTES as u16 {
        message.data = user::<[u8; ipmi::DATA_BYTES]>(data, 0)?;
    } else if length > 0 {
        message.data[0] = user::<u8>(data, 0)?;
    }
    Some(message)
}

/// `struct dm_ioctl`: the device by its number, its name or its UUID, whichever is given
/// (drivers/md/dm-ioctl.c `__find_device_hash_cell`). One that nothing is known about is new.
#[inline(always)]
fn mapper_device(act: mapper::Act, argument: u64) -> Verdict {
    if matches!(act, mapper::Act::Suspend) {
        match user::<u32>(argument, mapper::at::FLAGS) {
            None => return UNREADABLE_DEVICE,
            Some(flags) if flags & mapper::SUSPEND_FLAG == 0 => return Verdict::ALLOW,
            Some(_) => {}
        }
    }
    let Some(dev) = user::<u64>(argument, mapper::at::DEV) else {
        return UNREADABLE_DEVICE;
    };
    let is_guarded = (dev != 0 && carries_critical_data(mapper::decode_dev(dev)))
        || is_guarded_name(argument.wrapping_add(mapper::at::NAME)) != 0
        || is_guarded_name(argument.wrapping_add(mapper::at::UUID)) != 0;
    if is_guarded {
        mapper::guarded(judge::subject())
    } else {
        Verdict::ALLOW
    }
}

#[inline(always)]
fn carries_critical_data(dev: u32) -> bool {
    // SAFETY: the entry is read at once.
    unsafe { DEVICES.get(DeviceKey::block(dev)) }
        .is_some_and(|entry| entry.flags & device_flag::CRITICAL_DATA != 0)
}

/// 1 where the text in user memory names a guarded device, or cannot be read. Out of line: its
/// text must not lie on the stack together with an event's facts.
#[inline(never)]
fn is_guarded_name(text: u64) -> u32 {
    let mut words = [0_u64; DM_TEXT_BYTES / 8];
    // SAFETY: the helper writes at most as many bytes as there are, and checks the source itself.
    let read = unsafe {
        bpf_probe_read_user_str(
            words.as_mut_ptr().cast(),
            DM_TEXT_BYTES as u32,
            text as *const c_void,
        )
    };
    if read < 0 {
        return 1;
    }
    // SAFETY: only whether it is there.
    u32::from(words[0] != 0 && unsafe { DM_NAMES.get(dm_key(&words)) }.is_some())
}

#[inline(always)]
fn conclude(
    verdict: Verdict,
    dev: u32,
    hook: Hook,
    cmd: u32,
    open_flags: u32,
    opcode: Opcode,
) -> i64 {
    if matches!(verdict.decision, Decision::Allow) {
        return ALLOW;
    }
    let Some(policy) = judge::enforcing() else {
        return ALLOW;
    };
    let verdict = verdict.under(&policy);
    judge::tell_of_host(&mut Facts {
        dev,
        device_flags: 0,
        cmd,
        open_flags,
        decision: verdict.decision as u8,
        reason: verdict.reason as u8,
        hook: hook as u8,
        op: verdict.op as u8,
        device_kind: DeviceKind::Char as u8,
        device_class: 0,
        opcode,
        object_fs: 0,
        object_ino: 0,
        dentry: 0,
        grant: 0,
        told_later: false,
    })
}
