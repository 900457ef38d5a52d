//! Aligning text for people.

use crate::audit::names::printable;

/// Rows of cells as aligned columns, two spaces between them, nothing at the ends of lines.
pub fn columns(rows: &[Vec<String>], indent: &str) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|at| {
            let width = |row: &Vec<String>| row.get(at).map_or(0, |cell| cell.chars().count());
            rows.iter().map(width).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let padding = width - cell.chars().count() + 2;
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A command line as it could be typed, safe for a terminal.
pub fn command_line(argv: &[String]) -> String {
    let words: Vec<String> = argv.iter().map(|arg| quoted(arg)).collect();
    words.join(" ")
}

fn quoted(arg: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_owned();
    }
    format!("'{}'", printable(arg).replace('\'', "'\\''"))
}

/// Bytes with a unit, as disks are sold.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 0;
    let mut whole = bytes;
    let mut tenths = 0;
    while whole >= 1024 {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    if unit == 0 || whole >= 100 {
        return format!("{whole} {}", UNITS[unit]);
    }
    format!("{whole}.{tenths} {}", UNITS[unit])
}

/// How long ago, roughly: `3 minutes ago`.
pub fn ago(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..=1 => return "just now".to_owned(),
        2..=119 => (seconds, "seconds"),
        120..=7_199 => (seconds / 60, "minutes"),
        7_200..=172_799 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned() {
        let rows = [
            vec!["a".into(), "bb".into()],
            vec!["ccc".into(), String::new()],
        ];
        assert_eq!(columns(&rows, "  "), "  a    bb\n  ccc\n");
        assert_eq!(columns(&[], ""), "");
    }

    #[test]
    fn typed() {
        let argv = ["dd", "of=/dev/sda", "a b", "it's", "\u{1b}[2J", ""].map(str::to_owned);
        assert_eq!(
            command_line(&argv),
            "dd of=/dev/sda 'a b' 'it'\\''s' '\\u{1b}[2J' ''"
        );
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(512 << 20), "512 MiB");
        assert_eq!(size(1_920_383_410_176), "1.7 TiB");
        assert_eq!(size(u64::MAX), "15.9 EiB");
        assert_eq!(ago(1), "just now");
        assert_eq!(ago(180), "3 minutes ago");
        assert_eq!(ago(200_000), "2 days ago");
    }
}
