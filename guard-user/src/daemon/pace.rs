//! How soon a change of devices is followed.
//!
//! Whoever unmounts a device and uses it again in the next command waits for the survey between
//! the two: a change is followed at once. A storm of changes (a boot, a thousand paths that come
//! back) must not take a processor for itself: surveys that took longer than their share of the
//! last moments make the next one wait, and what changes meanwhile is taken together.

use std::time::{Duration, Instant};

/// Time that surveys may take before the next one has to wait. A host that is ten times slower than
/// it should be, where each survey takes that much longer, still follows what one person does.
const CREDIT: Duration = Duration::from_secs(10);
/// A survey's time is paid back in so many times the time.
const SHARE: u32 = 3;
/// The shortest wait.
const SHORTEST: Duration = Duration::from_millis(2);

/// What surveys have taken and not paid back.
#[derive(Debug)]
pub struct Pace {
    /// Debt is paid off at this moment, if nothing is added.
    paid: Instant,
}

impl Pace {
    /// Nothing owed.
    pub fn new(now: Instant) -> Self {
        Self { paid: now }
    }

    /// A survey ended at `now` and took `spent`.
    pub fn spend(&mut self, now: Instant, spent: Duration) {
        self.paid = self.paid.max(now) + spent * SHARE;
    }

    /// How long the next survey has to wait; `None` for not at all.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let owed = self.paid.saturating_duration_since(now);
        owed.checked_sub(CREDIT * SHARE)
            .map(|too_much| too_much.max(SHORTEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn single_changes_are_followed_at_once() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..50 {
            assert_eq!(pace.wait(now), None);
            now += ms(3);
            pace.spend(now, ms(3));
        }
    }

    #[test]
    fn a_storm_takes_a_third_of_a_processor() {
        let begun = Instant::now();
        let (mut now, mut spent) = (begun, ms(0));
        let mut pace = Pace::new(now);
        while now < begun + ms(60_000) {
            now += pace.wait(now).unwrap_or_default() + ms(40);
            spent += ms(40);
            pace.spend(now, ms(40));
        }
        assert!(spent < ms(60_000 / 3 + 11_000), "{spent:?}");
        assert!(spent > ms(60_000 / 4), "{spent:?}");
        assert_eq!(pace.wait(now + ms(200)), None);
    }

    #[test]
    fn a_survey_of_thousands_of_devices_waits_before_the_next() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.spend(now, ms(10_200));
        assert_eq!(pace.wait(now), Some(ms(600)));
    }
}
