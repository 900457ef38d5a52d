//! The balance of the log against the kernel's counters.
//!
//! The kernel half counts every event it makes and every event that found the ring full. Every
//! record carries how many events the log accounts for up to and including itself. The difference
//! is what nobody has told yet, and becomes a gap record: kernel events = recorded + gaps.

use serde::{Deserialize, Serialize};

/// What the log accounts for, counted from the moment the kernel half's maps were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Names the maps that count: boot and pin. Other maps count from zero.
    pub epoch: String,
    /// Events that are in the log.
    pub recorded: u64,
    /// Events that gap records told as dropped, because the ring was full.
    pub dropped: u64,
    /// Events that gap records told as missing for another reason.
    pub missing: u64,
    /// Lifecycle events that gap records told as dropped.
    pub lifecycle_dropped: u64,
}

/// What the kernel half has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCount {
    /// Events made: refused, would have been refused, and recorded ones.
    pub made: u64,
    /// Those of them that found the ring full.
    pub dropped: u64,
    /// Lifecycle events that found their ring full.
    pub lifecycle_dropped: u64,
}

impl Account {
    /// An account that begins with these maps.
    pub fn new(epoch: impl Into<String>) -> Self {
        Self {
            epoch: epoch.into(),
            ..Self::default()
        }
    }

    /// Events that were dropped since the last gap record.
    pub fn newly_dropped(&self, kernel: KernelCount) -> u64 {
        kernel.dropped.saturating_sub(self.dropped)
    }

    /// Lifecycle events that were dropped since the last gap record.
    pub fn newly_dropped_lifecycle(&self, kernel: KernelCount) -> u64 {
        kernel
            .lifecycle_dropped
            .saturating_sub(self.lifecycle_dropped)
    }

    /// Events that were made and neither dropped nor recorded. Meaningful when the ring is empty:
    /// an event in the ring, or one that a program has counted and not yet put there, is not lost.
    pub fn newly_missing(&self, kernel: KernelCount) -> u64 {
        kernel
            .made
            .saturating_sub(kernel.dropped + self.recorded + self.missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_told_gap_is_not_told_again() {
        let mut account = Account::new("e");
        let kernel = KernelCount {
            made: 10,
            dropped: 3,
            lifecycle_dropped: 1,
        };
        account.recorded = 5;
        assert_eq!(account.newly_dropped(kernel), 3);
        assert_eq!(account.newly_missing(kernel), 2);
        assert_eq!(account.newly_dropped_lifecycle(kernel), 1);
        account.dropped += 3;
        account.missing += 2;
        account.lifecycle_dropped += 1;
        assert_eq!(account.newly_dropped(kernel), 0);
        assert_eq!(account.newly_missing(kernel), 0);
        assert_eq!(account.newly_dropped_lifecycle(kernel), 0);
    }

    proptest! {
        /// However events split into recorded, dropped and vanished, the books close.
        #[test]
        fn the_books_close(steps in prop::collection::vec((0u64..50, 0u64..9, 0u64..9), 1..40)) {
            let mut account = Account::new("e");
            let mut kernel = KernelCount::default();
            for (recorded, dropped, vanished) in steps {
                kernel.made += recorded + dropped + vanished;
                kernel.dropped += dropped;
                account.recorded += recorded;
                prop_assert_eq!(account.newly_dropped(kernel), dropped);
                account.dropped += account.newly_dropped(kernel);
                prop_assert_eq!(account.newly_missing(kernel), vanished);
                account.missing += account.newly_missing(kernel);
                prop_assert_eq!(
                    kernel.made, account.recorded + account.dropped + account.missing);
            }
        }
    }
}
