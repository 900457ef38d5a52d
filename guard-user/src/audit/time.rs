//! Clocks: wall time as people write it, boot time as the kernel stamps events.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds in a second.
pub const NANOS: u64 = 1_000_000_000;

fn nanos(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    // Neither clock is negative on a machine that runs (the kernel refuses to set one so).
    u64::try_from(now.tv_sec).unwrap_or(0) * NANOS + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Nanoseconds of CLOCK_BOOTTIME: since boot, suspend included.
pub fn boot_ns() -> u64 {
    nanos(ClockId::Boottime)
}

/// Nanoseconds of CLOCK_MONOTONIC: since boot without suspend, the clock of `bpf_ktime_get_ns` and
/// of sd_notify(3).
pub fn monotonic_ns() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub fn wall_ns() -> u64 {
    nanos(ClockId::Realtime)
}

/// Wall time, ns since 1970, of a moment given in boot time. Right as long as the wall clock was
/// not set between then and now.
pub fn wall_of_boot(boot_ns_then: u64) -> u64 {
    wall_ns().saturating_sub(boot_ns().saturating_sub(boot_ns_then))
}

/// RFC 3339 in UTC with microseconds: `2026-11-21T22:34:45.012345Z`.
pub fn rfc3339(wall_ns: u64) -> String {
    let seconds = wall_ns / NANOS;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60,
        wall_ns % NANOS / 1_000
    )
}

/// Year, month and day of a count of days since 1970-01-01, proleptic Gregorian.
///
/// Counted in eras of 400 years that begin on 1 March, so that the leap day is the last of its
/// year.
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_OF_ERA: u64 = 146_097;
    const DAYS_TO_1970: u64 = 719_468;
    let days = days_since_1970 + DAYS_TO_1970;
    let day_of_era = days % DAYS_OF_ERA;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524
        - day_of_era / (DAYS_OF_ERA - 1))
        / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = days / DAYS_OF_ERA * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// A moment as a person writes it, in ns since 1970: `2026-11-21`, `2026-11-21T22:00`,
/// `2026-11-21 22:00:05Z` (all in UTC), or how long before `now`: `90s`, `30m`, `24h`, `7d`.
pub fn parse_moment(text: &str, now: u64) -> Option<u64> {
    let text = text.trim();
    if let Some(ago) = parse_ago(text) {
        return now.checked_sub(ago.checked_mul(NANOS)?);
    }
    let (date, of_day) = match text.split_once(['T', ' ']) {
        None => (text, 0),
        Some((date, clock)) => (date, parse_clock(clock)?),
    };
    let days = parse_date(date)?;
    (days * 86_400 + of_day).checked_mul(NANOS)
}

fn parse_ago(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    digits(&text[..text.len() - 1])?.checked_mul(unit)
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Days since 1970 of `YYYY-MM-DD`.
fn parse_date(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let widths = (year.len(), month.len(), day.len());
    if parts.next().is_some() || widths != (4, 2, 2) {
        return None;
    }
    let (year, month, day) = (digits(year)?, digits(month)?, digits(day)?);
    if year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    // `civil` grows with the days: found by bisection.
    let wanted = (year, month, day);
    let (mut low, mut high) = (0, 366 * (year - 1970 + 1));
    while low < high {
        let middle = u64::midpoint(low, high);
        if civil(middle) < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (civil(low) == wanted).then_some(low)
}

/// Seconds of `HH:MM`, `HH:MM:SS` or `HH:MM:SS.f`, with or without `Z`.
fn parse_clock(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let mut parts = text.split(':');
    let (hours, minutes) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let seconds = match parts.next() {
        None => 0,
        Some(text) => digits(text.split_once('.').map_or(text, |(whole, _)| whole))?,
    };
    let fits = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 60;
    fits.then_some(hours * 3_600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (1_795_300_485, "2026-11-21T22:34:45.000000Z"),
            (4_102_444_799, "2099-12-31T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(seconds * NANOS), text);
        }
        assert_eq!(rfc3339(1_234_567), "1970-01-01T00:00:00.001234Z");
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = civil(0);
        for day in 1..80_000 {
            let (year, month, of_month) = civil(day);
            let next_day = (last.0, last.1, last.2 + 1);
            let next_month = of_month == 1 && last.2 >= 28 && (month == last.1 + 1 || month == 1);
            assert!(
                (year, month, of_month) == next_day || next_month,
                "day {day}"
            );
            last = (year, month, of_month);
        }
    }

    #[test]
    fn moments_are_read_as_they_are_written() {
        let parse = |text: &str| parse_moment(text, 10 * 86_400 * NANOS);
        for seconds in (0..4_107_542_400_u64).step_by(86_400 * 37 + 12_345) {
            let text = rfc3339(seconds * NANOS);
            assert_eq!(parse(&text), Some(seconds * NANOS), "{text}");
            assert_eq!(parse(&text[..10]), Some(seconds / 86_400 * 86_400 * NANOS));
            assert_eq!(
                parse(&text[..16].replace('T', " ")),
                Some(seconds / 60 * 60 * NANOS)
            );
        }
        for (text, days) in [
            ("1d", 9),
            ("24h", 9),
            ("1440m", 9),
            ("86400s", 9),
            ("10d", 0),
        ] {
            assert_eq!(parse(text), Some(days * 86_400 * NANOS), "{text}");
        }
        for text in [
            "",
            "d",
            "11d",
            "1w",
            "yesterday",
            "2026-11",
            "2026-13-01",
            "2026-02-29",
            "2026-11-00",
            "26-11-21",
            "2026-11-21T",
            "2026-11-21T24:00",
            "2026-11-21T10",
            "2026-11-21T10:60",
            "2026-11-21T10:00+01:00",
            "1969-12-31",
            "-1d",
            "99999999999999999999d",
            "9999999999d",
            "é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn boot_time_maps_to_wall_time() {
        let (boot, wall) = (boot_ns(), wall_ns());
        assert!(wall_of_boot(boot).abs_diff(wall) < NANOS);
        assert!(wall_of_boot(boot - NANOS).abs_diff(wall - NANOS) < NANOS);
    }
}
