//! Grants in the kernel half's maps.

use guard_abi::glass::{GLASS_PENDING, GLASS_SLOTS, GLASS_USES, GlassEntry, GlassUse, slot};
use guard_abi::{DeviceKey, TaskEntry};

use super::guard::Guard;
use super::problem::Result;

impl Guard {
    /// The grants that are open, whether or not their time is over.
    pub fn grants(&self) -> Result<Vec<GlassEntry>> {
        let mut open = Vec::new();
        for at in 0..GLASS_SLOTS {
            let entry = self.maps.glass.get(&at)?.unwrap_or_default();
            if entry.number != 0 {
                open.push(entry);
            }
        }
        Ok(open)
    }

    /// Opens a grant with so many uses; `false` where another one has its place. Nothing runs under it
    /// before [`Guard::run_under`].
    pub fn open_grant(&self, entry: &GlassEntry, uses: u32) -> Result<bool> {
        let at = slot(entry.number);
        if self
            .maps
            .glass
            .get(&at)?
            .is_some_and(|other| other.number != 0)
        {
            return Ok(false);
        }
        for at in 0..uses.min(GLASS_USES) {
            let one = GlassUse {
                number: entry.number,
                at,
            };
            self.maps.glass_uses.set(&one, &1)?;
        }
        self.maps.glass.set(&at, entry)?;
        Ok(true)
    }

    /// Closes a grant, for what runs under it too: first what it opens, then what is left of it.
    pub fn close_grant(&self, number: u32) -> Result<()> {
        let at = slot(number);
        if self
            .maps
            .glass
            .get(&at)?
            .is_some_and(|entry| entry.number == number)
        {
            self.maps.glass.set(&at, &GlassEntry::default())?;
        }
        for at in 0..GLASS_USES {
            self.maps.glass_uses.remove(&GlassUse { number, at })?;
        }
        for (key, entry) in self.maps.devices.entries()? {
            if entry.glass == number {
                self.set_object(key, 0)?;
            }
        }
        Ok(())
    }

    /// Uses that are left of a grant.
    pub fn uses_left(&self, number: u32) -> Result<u32> {
        let mut left = 0;
        for at in 0..GLASS_USES {
            let one = GlassUse { number, at };
            left += u32::from(self.maps.glass_uses.get(&one)?.is_some());
        }
        Ok(left)
    }

    /// Makes a device the object of a grant; of none where the number is 0. `false` for a device that
    /// is not classified.
    pub fn set_object(&self, key: DeviceKey, number: u32) -> Result<bool> {
        let Some(mut entry) = self.maps.devices.get(&key)? else {
            return Ok(false);
        };
        if entry.glass != number {
            entry.glass = number;
            self.maps.devices.set(&key, &entry)?;
        }
        Ok(true)
    }

    /// Has a process run under a grant, from the next program on that it executes.
    pub fn run_under(&self, pid: u32, start_boot_ns: u64, number: u32) -> Result<bool> {
        let known = self.maps.tasks.get(&pid)?;
        let entry = TaskEntry {
            start_boot_ns,
            ..known.unwrap_or_default()
        };
        let glass = number | GLASS_PENDING;
        self.maps
            .tasks
            .set_if_room(&pid, &TaskEntry { glass, ..entry })
    }
}
