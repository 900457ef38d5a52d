//! Layout asserts. A struct without padding has the size of its members; each size is stated, so
//! that a change of a member is a change here and in [`crate::ABI_VERSION`].

use core::mem::{align_of, offset_of, size_of};

use crate::glass::{GlassEntry, GlassUse};
use crate::marks::Marks;
use crate::{
    ActKey, Ancestor, ArgumentName, BpfObject, DenialEvent, DeviceEntry, DeviceKey, EngineName,
    ExeId, FileName, FileRule, LifecycleEvent, PlaceEntry, Policy, TaskEntry, ToldAct, ToolRule,
    Unclaimed, VerbKey, VerbRule,
};

const _: () = {
    assert!(size_of::<DeviceKey>() == 8);
    assert!(size_of::<DeviceEntry>() == 32 && align_of::<DeviceEntry>() == 8);
    assert!(size_of::<Unclaimed>() == 16 && align_of::<Unclaimed>() == 8);
    assert!(size_of::<Policy>() == 24);
    assert!(size_of::<TaskEntry>() == 24);
    assert!(size_of::<GlassEntry>() == 24 && size_of::<GlassUse>() == 8);
    assert!(size_of::<EngineName>() == 16);
    assert!(size_of::<ExeId>() == 16);
    assert!(size_of::<ToolRule>() == 12);
    assert!(size_of::<VerbKey>() == 32);
    assert!(size_of::<VerbRule>() == 12);
    assert!(size_of::<ArgumentName>() == 128);
    assert!(size_of::<Ancestor>() == 20);
    assert!(size_of::<ActKey>() == 8);
    assert!(size_of::<ToldAct>() == 16);
    assert!(size_of::<LifecycleEvent>() == 40);
    assert!(offset_of!(LifecycleEvent, comm) == 24);
    assert!(size_of::<PlaceEntry>() == 8);
    assert!(size_of::<Marks>() == (1 << 17) + 4096 + 24);
    assert!(offset_of!(Marks, plain) == 0 && offset_of!(Marks, files) == 24);
    assert!(size_of::<FileName>() == 32);
    assert!(size_of::<FileRule>() == 8);
    assert!(size_of::<BpfObject>() == 8);
    // 5 u64, 14 u32, 8 u8, one u16, 2 u8, then the byte arrays.
    assert!(offset_of!(DenialEvent, exe_dev) == 40);
    assert!(offset_of!(DenialEvent, decision) == 96);
    assert!(offset_of!(DenialEvent, argv_bytes) == 104);
    assert!(offset_of!(DenialEvent, comm) == 108);
    assert!(offset_of!(DenialEvent, ancestors) == 160);
    assert!(offset_of!(DenialEvent, object_names) == 280);
    assert!(offset_of!(DenialEvent, argv) == 448);
    assert!(size_of::<DenialEvent>() == 704 && align_of::<DenialEvent>() == 8);
};

// No two flags or grants share a bit.
const _: () = {
    use crate::{device_flag as flag, tool_grant as grant};
    const fn disjoint(bits: &[u32]) -> bool {
        let (mut seen, mut at) = (0u32, 0);
        while at < bits.len() {
            if bits[at].count_ones() != 1 || seen & bits[at] != 0 {
                return false;
            }
            seen |= bits[at];
            at += 1;
        }
        true
    }
    assert!(disjoint(&[
        flag::CRITICAL_DATA,
        flag::IN_USE,
        flag::LVM_PV,
        flag::CLAIMED,
        flag::MD_MEMBER,
        flag::EXT_MOUNTED,
        flag::DB_RAW,
        flag::DISK_PROTECTED,
        flag::MD_REDUNDANT,
        flag::INHERITED,
        flag::REMEMBERED,
        flag::CANARY,
        flag::LUKS,
        flag::PREEN,
        flag::SWAP,
        flag::BOOT_DISK,
        flag::BOOT_PARTITION,
    ]));
    assert!(disjoint(&[
        grant::LVM,
        grant::EXT_ONLINE,
        grant::MD_MEMBER,
        grant::DRIVE_QUERY,
        grant::NEW_DM,
        grant::UNLOCK,
        grant::PREEN,
        grant::SWAP_ON,
        grant::NEW_MD,
        grant::MD_KEEP,
        grant::MD_GROW,
        grant::SHUTDOWN,
        grant::BOOT_FILES,
        grant::BOOT_STATE,
        grant::KEEP_DM,
        grant::GUARD,
        grant::PACKAGES,
        grant::BOOT_SECTOR,
        grant::REVOKED,
        grant::CONTROLLER,
        grant::ROTATE,
        grant::INIT,
        grant::STACK,
        grant::MOUNT,
    ]));
};
