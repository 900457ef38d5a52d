//! Records of every kind but denials.

use super::super::record::{
    Body, Change, ConfigRead, CriticalProcess, Descriptor, Gap, Health, HeldOpen, Mark, ModeChange,
    Recovered, Release, Start, Stop, Unload,
};
use super::super::time::rfc3339;
use super::{HOSTILE, Sample};

impl Sample {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    pub(super) fn other(&mut self) -> Body {
        let by = self.actor();
        match self.below(15) {
            0 => Body::State(Change {
                from: "idle".into(),
                to: "armed".into(),
                why: "mariadbd 812 was started".into(),
            }),
            1 => {
                let to = if self.mode == "enforce" {
                    "observe"
                } else {
                    "enforce"
                };
                let from = std::mem::replace(&mut self.mode, to.into());
                Body::Mode(ModeChange {
                    from,
                    to: to.into(),
                    from_ops: [("bmc".to_owned(), "observe".to_owned())].into(),
                    to_ops: std::collections::BTreeMap::new(),
                    why: "the configuration was read again".into(),
                })
            }
            2 => Body::Start(Start {
                version: "0.1.0".into(),
                pid: 600,
                adopted: self.chance(50),
                route: "lsm".into(),
                kernel: "6.1.0-28-amd64".into(),
                hooks: vec!["file_open".into(), "file_ioctl".into()],
                missing: vec!["uring_cmd: not in this kernel".into()],
                ops: [("bmc".to_owned(), "observe".to_owned())].into(),
            }),
            3 => Body::Stop(Stop {
                why: "SIGTERM".into(),
            }),
            4 | 5 => Body::Process(CriticalProcess {
                change: "started".into(),
                pid: 812,
                engine: "mariadb".into(),
                comm: "mariadbd".into(),
                data: vec!["/var/lib/mysql".into()],
                event_boot_ns: self.at,
            }),
            6 => Body::Release(Release {
                by,
                device: self.chance(50).then(|| "eui.00253856910".into()),
                forgotten: vec!["/var/lib/mysql".into()],
                refused: self.chance(50).then(|| "a database runs".into()),
            }),
            7 => Body::Mark(Mark {
                by,
                what: "device".into(),
                object: "/dev/nvme3n1".into(),
            }),
            8 => {
                let healthy = self.chance(50);
                Body::Health(Health {
                    part: self.one(&["links", "self-test", "audit"]).into(),
                    healthy,
                    detail: if healthy {
                        "works again"
                    } else {
                        "a hook is lost; restart dbguard"
                    }
                    .into(),
                })
            }
            9 => {
                let lost = self.below(5);
                let what = self.one(&["dropped", "missing", "lifecycle", "log"]);
                let gap = Body::Gap(Gap {
                    what: what.into(),
                    lost,
                    detail: "the ring was full".into(),
                });
                gap.book(&mut self.account);
                gap
            }
            10 => Body::Recovered(Recovered {
                torn_bytes: 17,
                torn: self.one(HOSTILE).into(),
            }),
            11 => Body::Config(ConfigRead {
                accepted: self.chance(70),
                detail: "/etc/dbguard/dbguard.toml".into(),
                by: self.chance(50).then_some(by),
            }),
            12 => Body::Descriptor(Descriptor {
                change: self.one(&["found", "stopped", "gone"]).into(),
                held: HeldOpen {
                    pid: 77,
                    comm: "dd".into(),
                    exe: "/usr/bin/dd".into(),
                    argv: vec!["dd".into()],
                    user: Some("root".into()),
                    login: by.login,
                    tty: None,
                    unit: self.chance(50).then(|| "backup.service".into()),
                    container: None,
                    how: "descriptor 3".into(),
                    device: self.chance(80).then(|| "nvme1n1".into()),
                    dev: Some("259:1".into()),
                    since: rfc3339(self.at),
                    closed: self.chance(50),
                    stopped: false,
                },
            }),
            13 => Body::Unload(Unload {
                by,
                refused: self.chance(50).then(|| "the host is armed".into()),
            }),
            _ => {
                self.glass();
                self.waiting
                    .pop_front()
                    .unwrap_or(Body::Stop(Stop { why: String::new() }))
            }
        }
    }
}
