//! Watching a guest's console for a kernel that is in trouble.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What a kernel prints when something is wrong with it, and what that is called here. Sources:
/// kernel/panic.c, lib/bug.c, arch/x86/mm/fault.c, kernel/watchdog.c, kernel/hung_task.c,
/// kernel/rcu/tree_stall.h, lib/dump_stack.c.
const TROUBLE: &[(&str, &str)] = &[
    ("Kernel panic - ", "panic"),
    ("Oops: ", "oops"),
    (" [#1] ", "oops"),
    ("general protection fault", "oops"),
    ("kernel BUG at ", "oops"),
    ("BUG: soft lockup", "soft lockup"),
    ("watchdog: BUG: ", "soft lockup"),
    ("Watchdog detected hard LOCKUP", "hard lockup"),
    ("blocked for more than ", "hung task"),
    ("detected stalls on CPUs", "RCU stall"),
    ("self-detected stall on CPU", "RCU stall"),
    ("] BUG: ", "kernel bug"),
    ("Out of memory: Killed process", "out of memory"),
    ("You are in emergency mode", "emergency mode"),
];

/// The first line of `text` that tells of trouble, with its name.
pub fn trouble(text: &str) -> Option<(&'static str, &str)> {
    text.lines().find_map(|line| {
        let (_, name) = TROUBLE.iter().find(|(sign, _)| line.contains(sign))?;
        Some((*name, line.trim()))
    })
}

/// Reads a growing console log.
pub struct Watch {
    path: PathBuf,
    at: u64,
    /// The unfinished last line.
    line: Vec<u8>,
}

impl Watch {
    /// Watches the file `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            at: 0,
            line: Vec::new(),
        }
    }

    /// Looks at what has been added; gives the first trouble in it as `name: line`.
    pub fn poll(&mut self) -> Option<String> {
        let mut file = File::open(&self.path).ok()?;
        file.seek(SeekFrom::Start(self.at)).ok()?;
        let mut added = Vec::new();
        self.at += file.read_to_end(&mut added).ok()? as u64;
        self.line.extend(added);
        let end = self
            .line
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.line.drain(..end).collect();
        trouble(&String::from_utf8_lossy(&whole)).map(|(name, line)| format!("{name}: {line}"))
    }

    /// The same, with the last line counted as finished: for the end of a run.
    pub fn last(&mut self) -> Option<String> {
        if let Some(found) = self.poll() {
            return Some(found);
        }
        trouble(&String::from_utf8_lossy(&self.line)).map(|(name, line)| format!("{name}: {line}"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn kernel_trouble_is_told_from_chatter() {
        for (line, name) in [
            (
                "[    9.1] Kernel panic - not syncing: sysrq triggered crash",
                "panic",
            ),
            (
                "[    9.1] BUG: kernel NULL pointer dereference, address: 0",
                "kernel bug",
            ),
            (
                "[    9.1] watchdog: BUG: soft lockup - CPU#0 stuck for 26s!",
                "soft lockup",
            ),
            (
                "[    9.1] INFO: task dd:81 blocked for more than 120 seconds.",
                "hung task",
            ),
            (
                "[    9.1] rcu: INFO: rcu_preempt self-detected stall on CPU",
                "RCU stall",
            ),
            ("[    3.1] int3: 0000 [#1] PREEMPT SMP NOPTI", "oops"),
            ("[    9.1] Oops: 0000 [#1] PREEMPT SMP", "oops"),
        ] {
            assert_eq!(
                trouble(&format!("fine\n{line}\n")).map(|(name, _)| name),
                Some(name)
            );
        }
        assert_eq!(
            trouble("systemd[1]: DEBUG: x\n[ 1.0] PCI: no bug here\n"),
            None
        );
    }

    #[test]
    fn a_line_in_two_pieces_is_seen_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serial.log");
        let mut file = File::create(&path).unwrap();
        let mut watch = Watch::new(&path);
        write!(file, "boot\nKernel pan").unwrap();
        assert_eq!(watch.poll(), None);
        writeln!(file, "ic - not syncing").unwrap();
        assert!(watch.poll().is_some());
        assert_eq!(watch.poll(), None);
        write!(file, "[ 1.0] BUG: at the very end").unwrap();
        assert_eq!(watch.poll(), None);
        assert!(watch.last().is_some());
    }
}
