//! Overrides, step by step.

use super::super::event_id;
use super::super::record::{Body, Override, OverrideSigner, RefusedOverride};
use super::{HOSTILE, OPS, Sample};

impl Sample {
    /// Queues the steps of an override; not every one comes to its end.
    pub(super) fn glass(&mut self) {
        let by = self.actor();
        let nonce = format!("{:032x}", self.below(u64::MAX >> 1));
        let object = self.object().name;
        let base = Override {
            by: Some(by.clone()),
            nonce: Some(nonce),
            event: Some(event_id::encode(self.seq)),
            opens: vec![self.one(&OPS).into()],
            object: Some(format!("{object} (eui.0025385691)")),
            carries: Some("/var/lib/mysql (mariadbd 812, running)".into()),
            requester: Some(by.login.clone()),
            incident: Some(format!("INC-{}", 4_200 + self.below(50))),
            reason: Some(format!(
                "failed disk, replaced by vendor {}",
                self.one(HOSTILE)
            )),
            minutes: Some(30),
            uses: Some(3),
            signers_needed: Some(2),
            ..Override::default()
        };
        let step = |word: &str, of: &Override| Override {
            step: word.into(),
            ..of.clone()
        };
        self.push(step("requested", &base));
        let person = |name: &str, emergency: bool| OverrideSigner {
            person: name.into(),
            key: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".into(),
            authority: None,
            hardware: !emergency,
            emergency,
        };
        let emergency = self.chance(10);
        let signed = Override {
            signers: vec![person("frank", false), person("grace", emergency)],
            ..base.clone()
        };
        match self.below(10) {
            0 => {
                let refused = RefusedOverride {
                    code: "other-host".into(),
                    why: "the request is of another host".into(),
                };
                self.push(Override {
                    refused: Some(refused),
                    ..step("opened", &base)
                });
                return;
            }
            1 => {
                self.push(Override {
                    object: Some("nothing (a drill)".into()),
                    opens: Vec::new(),
                    ..step("drilled", &signed)
                });
                return;
            }
            2 => return,
            _ => {}
        }
        self.grants += 1;
        let grant = format!("G-{}", self.grants);
        let with = |of: Override| Override {
            grant: Some(grant.clone()),
            ..of
        };
        self.push(with(step("opened", &signed)));
        for _ in 0..self.below(3) {
            let argv = self.argv("wipefs", &object);
            self.push(Override {
                pid: Some(4_811),
                argv,
                ..with(step("used", &base))
            });
        }
        if self.chance(80) {
            let known = self.chance(80);
            let of = if known { base } else { Override::default() };
            self.push(Override {
                by: None,
                why: Some("its time is over".into()),
                ..with(step("closed", &of))
            });
        }
    }

    fn push(&mut self, step: Override) {
        self.waiting.push_back(Body::Override(Box::new(step)));
    }
}
