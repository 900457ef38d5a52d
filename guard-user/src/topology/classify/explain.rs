//! The reasons for each device's class.

use std::collections::HashMap;

use super::super::inventory::{Bus, Inventory};
use super::super::reasons::Why;
use super::seeds::Seeds;
use super::shown;
use super::spread::{Marks, mark};

/// Weightiest reasons of what lies above that are told for a device below; more would be a list
/// that nobody reads, on a disk with a hundred volumes.
const CARRIED: usize = 3;
/// Devices above that are named.
const NAMED: usize = 2;
/// No reason.
const NONE: u32 = u32::MAX;

/// Numbers of reasons, ascending, padded with [`NONE`].
type Best = [u32; CARRIED];

pub(super) struct Explainer<'a> {
    inventory: &'a Inventory,
    marks: &'a Marks,
    /// All reasons, by weight.
    reasons: Vec<&'a Why>,
    best: Vec<Best>,
    /// One protected device of each bus.
    on_bus: HashMap<&'a Bus, u32>,
}

fn insert(best: &mut Best, reason: u32) {
    if best.contains(&reason) {
        return;
    }
    if let Some(at) = best.iter().position(|known| reason < *known) {
        best[at..].rotate_right(1);
        best[at] = reason;
    }
}

impl<'a> Explainer<'a> {
    pub(super) fn new(inventory: &'a Inventory, seeds: &'a Seeds, marks: &'a Marks) -> Self {
        let mut reasons: Vec<&Why> = seeds.marks.iter().map(|(_, _, why)| why).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let mut best = vec![[NONE; CARRIED]; inventory.devices.len()];
        for (index, _, why) in &seeds.marks {
            if let Ok(number) = reasons.binary_search(&why) {
                insert(&mut best[*index as usize], number as u32);
            }
        }
        for index in top_down(inventory) {
            if marks.of(index as usize) & (mark::CONTENT | mark::TABLE) == 0 {
                continue;
            }
            let own = best[index as usize];
            for below in &inventory.device(index as usize).below {
                for reason in own.into_iter().filter(|reason| *reason != NONE) {
                    insert(&mut best[*below as usize], reason);
                }
            }
        }
        let mut on_bus = HashMap::new();
        for (index, device) in inventory.devices.iter().enumerate() {
            if let (Some(bus), true) = (&device.bus, marks.is_protected(index)) {
                on_bus.entry(bus).or_insert(index as u32);
            }
        }
        Self {
            inventory,
            marks,
            reasons,
            best,
            on_bus,
        }
    }

    /// Weightiest reasons of a protected device.
    fn carried(&self, index: usize, most: usize) -> impl Iterator<Item = Why> + '_ {
        self.best[index]
            .iter()
            .take(most)
            .filter_map(|number| self.reasons.get(*number as usize).map(|why| (*why).clone()))
    }

    /// Everything that is told about a block device.
    pub(super) fn of(&self, index: usize) -> Vec<Why> {
        let device = self.inventory.device(index);
        let bits = self.marks.of(index);
        if !self.marks.is_protected(index) {
            let neighbour = (bits & mark::DRIVE != 0)
                .then(|| self.neighbour(index))
                .flatten();
            let why = neighbour.map(|name| Why::SharesDrive {
                name: shown(self.inventory, name),
            });
            return why.into_iter().collect();
        }
        let mut why: Vec<Why> = self.carried(index, CARRIED).collect();
        let protected = |list: &'a [u32]| {
            list.iter()
                .map(|index| *index as usize)
                .filter(|index| self.marks.is_protected(*index))
        };
        let mut above = 0;
        for upper in protected(&device.above).take(NAMED) {
            if self.marks.of(upper) & (mark::CONTENT | mark::TABLE) != 0 {
                why.push(Why::Below {
                    name: shown(self.inventory, upper),
                });
                above += 1;
            }
        }
        if bits & (mark::HELD | mark::OVERLAY) == mark::HELD && above == 0 {
            let upper = protected(&device.above).next();
            why.extend(upper.map(|upper| Why::Below {
                name: shown(self.inventory, upper),
            }));
        }
        let used = bits & (mark::CONTENT | mark::TABLE) != 0;
        if (bits & mark::OVERLAY != 0 && above == 0 && !used) || why.is_empty() {
            let lower = protected(&device.below).next();
            why.extend(lower.map(|lower| Why::LiesOver {
                name: shown(self.inventory, lower),
            }));
        }
        why
    }

    /// A protected device that a free one shares a drive with.
    fn neighbour(&self, index: usize) -> Option<usize> {
        let mut at = index;
        // A stack is a few devices deep; the bound is for a tree that leads back into itself.
        for _ in 0..16 {
            if self.marks.is_protected(at) {
                return Some(at);
            }
            let device = self.inventory.device(at);
            if let Some(other) = device.bus.as_ref().and_then(|bus| self.on_bus.get(bus)) {
                return Some(*other as usize);
            }
            let on_drive = |below: &&u32| self.marks.of(**below as usize) & mark::DRIVE != 0;
            at = *device.below.iter().find(on_drive)? as usize;
        }
        None
    }

    /// Why a passthrough node is protected: the drives, and what the first of them carries.
    pub(super) fn of_node(&self, protected: &[u32]) -> Vec<Why> {
        let named = protected.iter().take(NAMED).map(|index| *index as usize);
        let mut why: Vec<Why> = named
            .map(|index| Why::PassesTo {
                name: shown(self.inventory, index),
            })
            .collect();
        why.extend(
            protected
                .first()
                .into_iter()
                .flat_map(|index| self.carried(*index as usize, 1)),
        );
        why
    }

    /// Why a passthrough node is free but not wholly so.
    pub(super) fn shared(&self, bus: Option<&Bus>) -> Vec<Why> {
        let other = bus.and_then(|bus| self.on_bus.get(bus)).copied();
        other
            .map(|index| Why::SharesDrive {
                name: shown(self.inventory, index as usize),
            })
            .into_iter()
            .collect()
    }
}

/// Every device after all that lie above it. A tree that leads back into itself (no real one
/// does) still gives every device once.
fn top_down(inventory: &Inventory) -> Vec<u32> {
    let count = inventory.devices.len();
    let mut waiting: Vec<u32> = inventory
        .devices
        .iter()
        .map(|device| device.above.len() as u32)
        .collect();
    let mut order: Vec<u32> = (0..count as u32)
        .filter(|index| waiting[*index as usize] == 0)
        .collect();
    let mut at = 0;
    while at < order.len() {
        for below in &inventory.device(order[at] as usize).below {
            let left = &mut waiting[*below as usize];
            *left = left.saturating_sub(1);
            if *left == 0 {
                order.push(*below);
            }
        }
        at += 1;
    }
    if order.len() < count {
        let mut seen = vec![false; count];
        for index in &order {
            seen[*index as usize] = true;
        }
        order.extend((0..count as u32).filter(|index| !seen[*index as usize]));
    }
    order
}
