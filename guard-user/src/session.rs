//! Who runs this process: login session and terminal, to find "my last refusal".

use std::fs;

use crate::audit::enrich::{Sources, tty_name};
use crate::audit::record::{Denial, Record};

/// The session and terminal of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Audit session id.
    pub id: Option<u32>,
    /// Controlling terminal.
    pub tty: Option<String>,
}

/// Audit session id of a process; `None` without a login session.
pub fn id_of(pid: u32) -> Option<u32> {
    fs::read_to_string(format!("/proc/{pid}/sessionid"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .filter(|id| *id != u32::MAX)
}

/// Those of this process.
pub fn of_this_process() -> Session {
    Session {
        id: id_of(std::process::id()),
        tty: fs::read_to_string("/proc/self/stat")
            .ok()
            .as_deref()
            .and_then(tty_of),
    }
}

/// Id of this boot.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

impl Session {
    /// True where a refusal happened in this session: same boot, and the same audit session, or
    /// the same terminal where one of the two has no audit session.
    pub fn is_of(&self, record: &Record, denial: &Denial) -> bool {
        if record.boot_id != boot_id() {
            return false;
        }
        match (self.id, denial.process.session) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => self.tty.is_some() && self.tty == denial.process.tty,
        }
    }
}

/// The controlling terminal in `/proc/PID/stat` (proc_pid_stat(5): field 7, as `new_encode_dev`
/// puts it: include/linux/kdev_t.h).
pub fn tty_of(stat: &str) -> Option<String> {
    let number: i64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(4)?
        .parse()
        .ok()?;
    let encoded = u32::try_from(number).ok()?;
    let major = (encoded & 0xfff00) >> 8;
    let minor = (encoded & 0xff) | ((encoded >> 12) & 0xfff00);
    tty_name(&Sources::host(), guard_abi::dev::make(major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_read_from_stat() {
        assert_eq!(
            tty_of("1 (a) b) S 1 2 3 34819 9").as_deref(),
            Some("/dev/pts/3")
        );
        assert_eq!(tty_of("1 (x) S 1 2 3 0 9"), None);
        assert_eq!(tty_of("1 (x) S"), None);
        // Terminal 300: the minor's upper bits stand at bit 20.
        let encoded = (136 << 8) | (0x12c & 0xff) | ((0x12c & 0xfff00) << 12);
        let stat = format!("1 (x) S 1 2 3 {encoded} 9");
        assert_eq!(tty_of(&stat).as_deref(), Some("/dev/pts/300"));
    }
}
