//! Marks of places ([`guard_abi::marks`]), by which the kernel half spares ordinary files a look-up.

use std::collections::HashMap;
use std::time::Duration;

use guard_abi::marks::Marks;
use guard_abi::{FileId, PlaceEntry, maps as names};

use super::guard::Guard;
use super::maps::Map;
use super::pin;
use super::problem::Result;

/// `MEMBARRIER_CMD_GLOBAL`, include/uapi/linux/membarrier.h.
const MEMBARRIER_CMD_GLOBAL: libc::c_long = 1;
/// No program runs for so long.
const LONG: Duration = Duration::from_secs(1);

impl Guard {
    /// Changes with each addition of the kernel half's, see [`Guard::set_places`].
    pub fn additions(&self) -> Result<u64> {
        Ok(self.maps.handed_over.get(&0)?.unwrap_or(0))
    }

    /// Marks places that are about to be told, and those that the kernel half has added. Gives what
    /// has been written, and how many additions are in it: [`Marks::open`] is for when all is told.
    pub(super) fn mark_places(
        &self,
        wanted: &HashMap<FileId, PlaceEntry>,
    ) -> Result<(Box<Marks>, u64)> {
        // First: what the kernel half adds from here on makes the marks count for nothing.
        let handed_over = self.additions()?;
        // Marks that are there stay.
        let mut marks = Box::new(Marks::EMPTY);
        self.maps.marks.read_into(&0, &mut marks)?;
        for (id, place) in wanted {
            marks.mark(*id, *place);
        }
        if !marks.is_up_to(handed_over) {
            for (id, place) in self.maps.places.entries()? {
                marks.mark(id, place);
            }
        }
        marks.close(wanted.keys().copied());
        self.maps.marks.set(&0, &marks)?;
        Ok((marks, handed_over))
    }
}

/// Has every file looked up, until the places are told anew. A loader makes the marks zero under the
/// programs that are attached (aya does so with what is pinned, too), which must not believe in them
/// by then.
pub(super) fn forget() -> Result<()> {
    if !pin::map(names::MARKS).exists() {
        return Ok(());
    }
    let map: Map<u32, Marks> = Map::open(names::MARKS)?;
    let mut marks = Box::new(Marks::EMPTY);
    map.read_into(&0, &mut marks)?;
    marks.close_all();
    map.set(&0, &marks)?;
    // A program that has seen a gate before may be about to ask for the marks: wait until all that
    // run have ended (kernel/sched/membarrier.c: `synchronize_rcu`).
    // SAFETY: a system call of three numbers.
    let waited = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if waited != 0 {
        std::thread::sleep(LONG);
    }
    Ok(())
}
