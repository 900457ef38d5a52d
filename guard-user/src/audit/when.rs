//! Moments as a reviewer writes them.

use super::time::{NANOS, parse_moment};

/// Seconds in a day.
const DAY: u64 = 86_400;

/// What is said of a text that is no moment.
pub const HINT: &str = "not a time; write 2026-11-21, 2026-11-21T22:00, 2026-11-21T22:00:00+01:00, \
                        -7d, -2h, today or yesterday";

/// A moment in ns since 1970: what [`parse_moment`] reads, an RFC 3339 time with an offset, `now`,
/// `today` and `yesterday` (their beginning in UTC), `-7d`, `-2h` or `-2w` (so long before `now`).
pub fn parse_when(text: &str, now: u64) -> Option<u64> {
    let text = text.trim();
    let day = NANOS * DAY;
    match text {
        "now" => return Some(now),
        "today" => return Some(now / day * day),
        "yesterday" => return (now / day * day).checked_sub(day),
        _ => {}
    }
    let ago = text.strip_prefix('-').unwrap_or(text);
    if let Some(weeks) = ago.strip_suffix('w') {
        let plain =
            !weeks.is_empty() && weeks.len() < 6 && weeks.bytes().all(|b| b.is_ascii_digit());
        let weeks: u64 = plain.then(|| weeks.parse().ok()).flatten()?;
        return now.checked_sub(weeks.checked_mul(7 * day)?);
    }
    if ago.len() < text.len() {
        // `-` and a date is nothing.
        return ago
            .ends_with(['s', 'm', 'h', 'd'])
            .then(|| parse_moment(ago, now))?;
    }
    offset(text).map_or_else(
        || parse_moment(text, now),
        |(local, east, seconds)| {
            let at = parse_moment(local, now)?;
            let shift = seconds * NANOS;
            if east {
                at.checked_sub(shift)
            } else {
                at.checked_add(shift)
            }
        },
    )
}

/// `2026-11-21T22:00:00+01:00`: the local time, whether it is east of Greenwich, by how much.
fn offset(text: &str) -> Option<(&str, bool, u64)> {
    let clock = text.find(['T', ' '])?;
    let at = clock + text[clock..].find(['+', '-'])?;
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let number = |text: &str| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let east = text.as_bytes()[at] == b'+';
    Some((&text[..at], east, hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::time::rfc3339;

    #[test]
    fn moments() {
        // 2026-11-24T02:30:00Z, a Tuesday.
        let now = parse_moment("2026-11-24T02:30", 0).expect("a moment");
        let when = |text: &str| parse_when(text, now).map(|at| rfc3339(at)[..19].to_owned());
        for (text, wanted) in [
            ("now", "2026-11-24T02:30:00"),
            ("today", "2026-11-24T00:00:00"),
            ("yesterday", "2026-11-23T00:00:00"),
            ("-7d", "2026-11-17T02:30:00"),
            ("7d", "2026-11-17T02:30:00"),
            ("-2w", "2026-11-10T02:30:00"),
            ("-2h", "2026-11-24T00:30:00"),
            ("2026-11-21", "2026-11-21T00:00:00"),
            ("2026-11-21T22:00:00+01:00", "2026-11-21T21:00:00"),
            ("2026-11-21T22:00:00-05:30", "2026-11-22T03:30:00"),
            ("2026-11-21 22:00Z", "2026-11-21T22:00:00"),
        ] {
            assert_eq!(when(text).as_deref(), Some(wanted), "{text}");
        }
        for text in [
            "",
            "-",
            "w",
            "-w",
            "--7d",
            "-2026-11-21",
            "2026-11-21+01:00",
            "2026-11-21T22:00+1:00",
            "2026-11-21T22:00+24:00",
            "-9999999d",
            "tomorrow",
            "é",
            "2026-11-21T+é:00",
        ] {
            assert_eq!(when(text), None, "{text}");
        }
    }
}
