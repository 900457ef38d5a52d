//! The message to the person who was refused: EPERM as root explains nothing.
//!
//! Written to the controlling terminal of the refused process, never waiting for it. The terminal
//! is reached through a descriptor of the process or of an ancestor, because the number of a
//! pseudo-terminal means another terminal in a container.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use guard_abi::dev;

use crate::audit::names::{printable, sentence};
use crate::audit::record::{Denial, HeldOpen, Record};
use crate::audit::time::NANOS;

/// Job keys that are remembered for the rate limit before the old ones are thrown out.
const JOBS_KEPT: usize = 256;

/// Writes messages to terminals, at most one a job a second.
#[derive(Debug)]
pub struct Notifier {
    proc: PathBuf,
    last: HashMap<(u32, u32), u64>,
}

impl Notifier {
    /// Finds processes below `proc`.
    pub fn new(proc: &Path) -> Self {
        Self {
            proc: proc.to_owned(),
            last: HashMap::new(),
        }
    }

    /// Tells the person at `tty` (kernel form, 0 for none) about a refusal. A terminal that cannot
    /// be found or written to is no error: the record is what counts.
    pub fn tell(&mut self, record: &Record, denial: &Denial, tty: u32) {
        let Some(event) = record.event.as_deref() else {
            return;
        };
        if tty == 0 || denial.decision != "deny" || !self.may_speak(record, denial, tty) {
            return;
        }
        let process = &denial.process;
        let family =
            std::iter::once(process.pid).chain(process.ancestors.iter().map(|parent| parent.pid));
        let terminal = family
            .flat_map(|pid| (0..3).map(move |fd| (pid, fd)))
            .find_map(|(pid, fd)| open_terminal(&self.proc.join(format!("{pid}/fd/{fd}")), tty))
            .or_else(|| open_console(tty));
        if let Some(mut terminal) = terminal {
            // One write, so that the lines of two messages do not mix.
            let _ = terminal.write_all(message(event, denial).as_bytes());
        }
    }

    /// Tells the person at the terminal of a process that was stopped.
    pub fn tell_stopped(event: &str, held: &HeldOpen) {
        // The number of a container's pseudo-terminal means another one here.
        let Some(tty) = held.tty.as_ref().filter(|_| held.container.is_none()) else {
            return;
        };
        let terminal = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(tty);
        if let Ok(mut terminal) = terminal {
            let device = held.device.as_deref().unwrap_or("a device");
            let text = format!(
                "\rdbguard: stopped {event}: process {} has {} mapped for writing, which is protected\r\ndbguard: details: dbguard why {event}\r\n",
                held.pid,
                printable(device),
            );
            let _ = terminal.write_all(text.as_bytes());
        }
    }

    fn may_speak(&mut self, record: &Record, denial: &Denial, tty: u32) -> bool {
        let parent = denial
            .process
            .ancestors
            .first()
            .map_or(0, |parent| parent.pid);
        let now = record.boot_ns;
        if self.last.len() >= JOBS_KEPT {
            self.last
                .retain(|_, then| now.saturating_sub(*then) < NANOS);
        }
        match self.last.get(&(tty, parent)) {
            Some(then) if now.saturating_sub(*then) < NANOS => false,
            _ => {
                self.last.insert((tty, parent), now);
                true
            }
        }
    }
}

/// The two lines.
pub fn message(event: &str, denial: &Denial) -> String {
    format!(
        "\rdbguard: refused {event}: {} to {}, {}\r\ndbguard: details: dbguard why {event}\r\n",
        denial.op,
        printable(&denial.object.name),
        printable(&short_reason(denial)),
    )
}

/// Why, in half a sentence that follows the object's name.
pub fn short_reason(denial: &Denial) -> String {
    let because = denial.object.why.first().map(|why| sentence(why));
    match denial.reason.as_str() {
        "unknown-device" => "it has not been classified yet".to_owned(),
        "reaches-protected-disk" => {
            because.unwrap_or_else(|| "the command reaches the whole disk".to_owned())
        }
        "not-redundant" => "the array would lose its redundancy".to_owned(),
        _ => because.unwrap_or_else(|| "it is protected".to_owned()),
    }
}

fn open_terminal(path: &Path, tty: u32) -> Option<File> {
    let metadata = fs::metadata(path).ok()?;
    let number = metadata.rdev();
    let kernel_form = dev::make(rustix::fs::major(number), rustix::fs::minor(number));
    if !metadata.file_type().is_char_device() || kernel_form != tty {
        return None;
    }
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .ok()
}

/// A terminal that is not a pseudo-terminal has one number on the whole host.
fn open_console(tty: u32) -> Option<File> {
    let sources = crate::audit::enrich::Sources::host();
    let name = crate::audit::enrich::tty_name(&sources, tty)?;
    (!name.starts_with("/dev/pts/"))
        .then(|| open_terminal(Path::new(&name), tty))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{Ancestor, EventKey, Object, Process};

    fn denial(name: &str, why: &str) -> Denial {
        Denial {
            decision: "deny".into(),
            reason: "protected-device".into(),
            hook: "file_open".into(),
            op: "raw-write".into(),
            object: Object {
                name: name.into(),
                why: vec![why.into()],
                ..Object::default()
            },
            process: Process {
                ancestors: vec![Ancestor {
                    pid: 7,
                    comm: "bash".into(),
                }],
                ..Process::default()
            },
            database: Vec::new(),
            command: None,
            act: None,
            open: None,
            grant: None,
            count: 1,
            key: EventKey(1, 2, 3),
            repeats: Vec::new(),
        }
    }

    #[test]
    fn two_lines() {
        assert_eq!(
            message(
                "E-7K2Q",
                &denial("nvme1n1", "carries /var/lib/mysql (mariadbd 812, running)")
            ),
            "\rdbguard: refused E-7K2Q: raw-write to nvme1n1, it carries /var/lib/mysql \
             (mariadbd 812, running)\r\ndbguard: details: dbguard why E-7K2Q\r\n"
        );
    }

    #[test]
    fn names_cannot_control_the_terminal() {
        let text = message("E-7K2Q", &denial("x\u{1b}]0;", "carries /a\nb"));
        assert!(
            text.contains("x\\u{1b}]0;") && text.contains("/a\\nb"),
            "{text:?}"
        );
        assert_eq!(text.matches('\n').count(), 2);
    }

    #[test]
    fn one_message_a_job_a_second() {
        let mut notifier = Notifier::new(Path::new("/nonexistent"));
        let at = |boot_ns: u64| Record {
            v: 1,
            seq: 1,
            event: None,
            time: String::new(),
            boot_ns,
            boot_id: String::new(),
            machine_id: String::new(),
            host: String::new(),
            mode: String::new(),
            state: String::new(),
            account: crate::audit::account::Account::default(),
            body: crate::audit::record::Body::Denial(Box::new(denial("x", "y"))),
            prev_hash: None,
            hash: None,
        };
        let denial = denial("x", "y");
        assert!(notifier.may_speak(&at(NANOS), &denial, 5));
        assert!(!notifier.may_speak(&at(NANOS + NANOS / 2), &denial, 5));
        assert!(
            notifier.may_speak(&at(NANOS + NANOS / 2), &denial, 6),
            "another terminal"
        );
        assert!(notifier.may_speak(&at(2 * NANOS), &denial, 5));
        for job in 0..10 * JOBS_KEPT as u64 {
            let tty = 1_000 + u32::try_from(job).expect("small");
            assert!(notifier.may_speak(&at(3 * NANOS + job * NANOS), &denial, tty));
        }
        assert!(notifier.last.len() <= JOBS_KEPT);
    }

    #[test]
    fn a_terminal_is_known_by_its_number() {
        let null = dev::make(1, 3);
        assert!(open_terminal(Path::new("/dev/null"), null).is_some());
        assert!(open_terminal(Path::new("/dev/null"), dev::make(1, 5)).is_none());
        assert!(open_terminal(Path::new("/etc/passwd"), 0).is_none());
        assert!(open_terminal(Path::new("/nonexistent"), null).is_none());
    }
}
