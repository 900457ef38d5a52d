//! Records as a busy host makes them, for tests and measurements: every kind, late denials, whole
//! and broken overrides, values that somebody would like to smuggle into a reader.

mod kinds;
mod steps;

use std::collections::VecDeque;
use std::io::{self, Write};

use super::account::Account;
use super::chain;
use super::denial::{
    Ancestor, Command, Database, Denial, EventKey, GrantUsed, NO_LOGIN, Object, Process,
};
use super::event_id;
use super::record::{Actor, Body, Record, SCHEMA};
use super::time::{NANOS, rfc3339};

/// What an attacker may put into a command line.
pub const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "=HYPERLINK(\"http://x\",\"y\")",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\u{202e}gnp.exe",
    "a\u{1b}[2Jb",
    "line\nfeed, \"quoted\"; tab\t",
    "</style></svg><b>",
    "{{7*7}} &amp; &lt;",
    ",\"kind\":\"denial\"",
    "名前 ü 🦀",
    "",
];

const OPS: [&str; 6] = [
    "raw-write",
    "discard",
    "partition",
    "passthrough",
    "remap",
    "boot-file",
];
const PEOPLE: [(&str, u32); 5] = [
    ("ann", 1000),
    ("bob", 1001),
    ("carol", 1002),
    ("dave", 1003),
    ("erin", 1004),
];
const TOOLS: [&str; 6] = [
    "/usr/sbin/wipefs",
    "/usr/bin/dd",
    "/usr/sbin/sfdisk",
    "/usr/sbin/mkfs.ext4",
    "/usr/sbin/nvme",
    "/opt/site/reinstall",
];

/// Makes records, one after the other.
#[derive(Debug)]
pub struct Sample {
    random: u64,
    seq: u64,
    at: u64,
    grants: u32,
    mode: String,
    /// Of a thousand records, how many are denials.
    denials: u64,
    waiting: VecDeque<Body>,
    account: Account,
}

impl Sample {
    /// Records that begin at `at`, ns since 1970; the same for the same seed.
    pub fn new(seed: u64, at: u64) -> Self {
        Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            seq: 0,
            at,
            grants: 0,
            mode: "enforce".into(),
            denials: 900,
            waiting: VecDeque::new(),
            account: Account::new("boot 1"),
        }
    }

    /// With so many denials in a thousand.
    #[must_use]
    pub fn denials(mut self, of_thousand: u64) -> Self {
        self.denials = of_thousand;
        self
    }

    /// xorshift64*: no crate is needed for what need not be secret.
    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn actor(&mut self) -> Actor {
        let (name, uid) = self.one(&PEOPLE);
        let session = self.chance(80);
        Actor {
            pid: 4_000,
            uid: 0,
            user: Some("root".into()),
            auid: session.then_some(uid),
            login: if session { name } else { NO_LOGIN }.into(),
            tty: session.then(|| "/dev/pts/3".into()),
            ssh_peer: session.then(|| "192.0.2.7 50112".into()),
        }
    }

    fn argv(&mut self, tool: &str, device: &str) -> Vec<String> {
        let mut argv = vec![tool.to_owned(), "-a".into(), format!("/dev/{device}")];
        if self.chance(10) {
            argv.push(self.one(HOSTILE).to_owned());
        }
        argv
    }

    fn object(&mut self) -> Object {
        let disk = self.below(12);
        if self.chance(4) {
            return Object {
                kind: "file".into(),
                name: "/boot/grub/grub.cfg".into(),
                dev: "259:1".into(),
                class: "protected".into(),
                why: vec!["what this machine boots from".into()],
                ..Object::default()
            };
        }
        let known = disk < 10;
        Object {
            kind: "block".into(),
            name: if known {
                format!("nvme{disk}n1")
            } else {
                format!("8:{disk}")
            },
            dev: format!("259:{disk}"),
            class: if known { "protected" } else { "unknown" }.into(),
            flags: vec!["critical-data".into(), "in-use".into()],
            diskseq: disk + 9,
            wwid: known.then(|| format!("eui.00253856910{:05x}", disk % 4 * 7)),
            serial: known.then(|| format!("S64GNS0R7104{disk:02}")),
            stack: vec!["dm-0".into()],
            mounts: vec!["/var/lib/mysql".into()],
            why: vec!["carries /var/lib/mysql (mariadbd 812, running)".into()],
        }
    }

    fn denial(&mut self) -> Body {
        let object = self.object();
        let tool = self.one(&TOOLS);
        let (name, uid) = self.one(&PEOPLE);
        let session = self.chance(60);
        let decision = match self.below(100) {
            0..60 => "deny",
            60..85 => "would-deny",
            85..92 => "granted",
            92..96 => "allowed",
            _ => "record",
        };
        let granted = decision == "granted";
        let count = if self.chance(10) {
            1 + self.below(40)
        } else {
            1
        };
        let is_command = self.chance(40);
        let run_as = if self.chance(80) { Some("root") } else { None };
        let key = |at: u64| EventKey(self.at + at, 3, 4_711);
        let keys: Vec<EventKey> = (0..count).map(key).collect();
        self.account.recorded += count;
        Body::Denial(Box::new(Denial {
            decision: decision.into(),
            reason: "protected-device".into(),
            hook: "file_open".into(),
            op: self.one(&OPS).into(),
            process: Process {
                pid: 4_711,
                tid: 4_711,
                start_boot_ns: self.at,
                comm: tool.rsplit('/').next().unwrap_or(tool).into(),
                exe: if self.chance(97) {
                    tool.into()
                } else {
                    String::new()
                },
                exe_ino: 393_311,
                exe_dev: "259:2".into(),
                argv: self.argv(tool, &object.name),
                argv_truncated: false,
                cwd: Some("/root".into()),
                uid: if run_as.is_some() { 0 } else { uid },
                euid: 0,
                user: run_as.map(str::to_owned),
                auid: session.then_some(uid),
                login: if session { name } else { NO_LOGIN }.into(),
                session: session.then_some(12),
                tty: session.then(|| "/dev/pts/3".into()),
                ancestors: ["bash", "sudo", "bash", "sshd"]
                    .iter()
                    .zip(4_700..)
                    .map(|(comm, pid)| Ancestor {
                        pid,
                        comm: (*comm).into(),
                    })
                    .collect(),
                ssh_peer: session.then(|| "192.0.2.7 50112".into()),
                cgroup: Some("/system.slice/reinstall.service".into()),
                unit: match self.below(4) {
                    0 => None,
                    1 => Some("reinstall.service".into()),
                    _ => Some(format!("session-{}.scope", self.below(20))),
                },
                container: self.chance(8).then(|| "c0ffee".repeat(10) + "cafe"),
            },
            object,
            database: vec![Database {
                engine: "mariadb".into(),
                pid: 812,
                name: "mariadbd".into(),
                data: vec!["/var/lib/mysql".into()],
                role: "unknown".into(),
            }],
            command: is_command.then(|| Command {
                number: 0x1277,
                hex: "0x1277".into(),
                name: Some("BLKDISCARD".into()),
                opcode: None,
            }),
            act: None,
            open: (!is_command).then(|| "O_WRONLY|O_EXCL".into()),
            grant: granted.then(|| GrantUsed {
                id: format!("G-{}", 1 + self.below(u64::from(self.grants) + 1)),
                signers: vec!["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".into()],
                incident: Some("INC-4242".into()),
            }),
            count,
            key: keys[0],
            repeats: keys[1..].to_vec(),
        }))
    }
}

impl Iterator for Sample {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.seq += 1;
        self.at += self.below(4) * NANOS + self.below(NANOS);
        let is_denial = self.below(1_000) < self.denials;
        let body = if is_denial {
            self.denial()
        } else if let Some(waiting) = self.waiting.pop_front() {
            waiting
        } else {
            self.other()
        };
        // Some events wait in the ring for hours before they are written.
        let late = if is_denial && self.chance(3) {
            self.below(5_000) * NANOS
        } else {
            0
        };
        Some(Record {
            v: SCHEMA,
            seq: self.seq,
            event: matches!(body, Body::Denial(_) | Body::Descriptor(_))
                .then(|| event_id::encode(self.seq)),
            time: rfc3339(self.at - late),
            boot_ns: self.at - late,
            boot_id: "7f1c2a90-0b1e-4e0e-8f55-0d3c4e2b9a11".into(),
            machine_id: "4b1d6f0c9a3e4d2f8b7a6c5d4e3f2a1b".into(),
            host: "db7".into(),
            mode: self.mode.clone(),
            state: self.one(&["armed", "armed", "held", "idle"]).into(),
            account: self.account.clone(),
            body,
            prev_hash: None,
            hash: None,
        })
    }
}

/// Writes records as the log has them, chained.
pub fn write(out: &mut impl Write, records: impl Iterator<Item = Record>) -> io::Result<()> {
    let mut head = chain::NO_RECORD.to_owned();
    let mut bytes = Vec::new();
    for mut record in records {
        bytes.clear();
        record.prev_hash = Some(head);
        serde_json::to_writer(&mut bytes, &record)?;
        head = chain::seal(&mut bytes, 0);
        out.write_all(&bytes)?;
    }
    Ok(())
}
