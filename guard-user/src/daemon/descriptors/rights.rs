//! Who may have a device open for writing: the kernel half's own decision.

use std::collections::HashMap;

use guard_abi::{DeviceClass, DeviceEntry, DeviceKey, PassthroughKind, TaskEntry, dev};
use guard_ebpf::decide::{Access, Act, Driver, Object, Subject, decide};

use crate::host::descriptors::Asked;
use crate::kernel::Guard;

/// What the kernel half would say, asked by process and device.
pub(super) struct Rights<'a> {
    pub guard: &'a Guard,
    pub tasks: HashMap<u32, TaskEntry>,
    pub majors: &'a [(u32, PassthroughKind)],
    pub dm_major: u32,
    pub names: HashMap<&'a str, DeviceKey>,
}

impl Asked for Rights<'_> {
    /// What a database has open for writing is its own device (`device_flag::DB_RAW`).
    fn is_searched(&self, pid: u32) -> bool {
        let is_critical = self.tasks.get(&pid).is_some_and(|task| task.engine != 0);
        !is_critical && pid != std::process::id()
    }

    fn matters(&self, pid: u32, device: DeviceKey) -> bool {
        let passthrough = if device == DeviceKey::block(device.dev) {
            PassthroughKind::None
        } else {
            let major = dev::major(device.dev);
            match self.majors.iter().find(|(number, _)| *number == major) {
                Some((_, kind)) => *kind,
                None => return false,
            }
        };
        // What cannot be looked up counts as unknown, as it does in the kernel.
        let entry = self.guard.device(device).unwrap_or(None);
        let task = self.tasks.get(&pid).copied().unwrap_or_default();
        must_not_write(task, entry, passthrough, self.driver(device))
    }

    fn named(&self, name: &str) -> Option<DeviceKey> {
        self.names.get(name).copied()
    }
}

impl Rights<'_> {
    fn driver(&self, device: DeviceKey) -> Driver {
        match dev::major(device.dev) {
            dev::MD_MAJOR => Driver::Md,
            major if major != 0 && major == self.dm_major => Driver::DeviceMapper,
            _ => Driver::Other,
        }
    }
}

/// Whether the kernel half would refuse this process an open for writing, were the host armed.
fn must_not_write(
    task: TaskEntry,
    entry: Option<DeviceEntry>,
    passthrough: PassthroughKind,
    driver: Driver,
) -> bool {
    let subject = Subject {
        critical: task.engine != 0,
        grants: task.grants,
    };
    let class = entry
        .and_then(|entry| DeviceClass::from_u8(u8::try_from(entry.class).ok()?))
        .unwrap_or(DeviceClass::Unknown);
    let object = Object {
        class,
        flags: entry.map_or(0, |entry| entry.flags),
        passthrough,
        driver,
    };
    let access = Access {
        write: true,
        ioctl_only: false,
    };
    // What a grant lets it open, it lets it write: the kernel half asks again at each write.
    let under_grant = task.glass != 0 && entry.is_some_and(|entry| entry.glass == task.glass);
    !under_grant && decide(subject, object, Act::Open(access)).decision == guard_abi::Decision::Deny
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard_abi::{device_flag, tool_grant};

    fn entry(class: u32, flags: u32) -> DeviceEntry {
        DeviceEntry {
            class,
            flags,
            ..DeviceEntry::default()
        }
    }

    fn task(engine: u32, grants: u32) -> TaskEntry {
        TaskEntry {
            engine,
            grants,
            ..TaskEntry::default()
        }
    }

    #[test]
    fn who_may_write_is_what_the_kernel_half_says() {
        use PassthroughKind::{None as Block, NvmeGeneric, ScsiGeneric};
        let class = DeviceClass::Protected as u32;
        let nobody = TaskEntry::default();
        let protected = Some(entry(class, device_flag::MD_MEMBER));
        let asked = |task, entry, kind| must_not_write(task, entry, kind, Driver::Other);
        assert!(asked(nobody, protected, Block));
        assert!(asked(nobody, None, Block), "not classified yet");
        assert!(asked(nobody, Some(entry(77, 0)), Block), "no class");
        assert!(asked(nobody, protected, ScsiGeneric));
        assert!(!asked(nobody, protected, NvmeGeneric), "has no write(2)");
        let free = Some(entry(DeviceClass::Free as u32, 0));
        assert!(!asked(nobody, free, Block));
        let member = task(0, tool_grant::MD_MEMBER);
        assert!(!asked(member, protected, Block), "mdmon");
        assert!(asked(task(0, tool_grant::LVM), protected, Block));
        let raw = Some(entry(class, device_flag::DB_RAW));
        assert!(!asked(task(1, 0), raw, Block));
        assert!(asked(task(1, 0), protected, Block));
    }
}
