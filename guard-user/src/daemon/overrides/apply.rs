//! Opening what a signed request asks for.

use guard_abi::Op;
use guard_abi::glass::{GLASS_SLOTS, GlassEntry, slot};

use super::{
    ALERT, Daemon, INTERNAL, OF_HOST, Open, Refusal, TRY_AGAIN, grant_id, record_of, told_grant,
};
use crate::audit::names;
use crate::audit::record::{Actor, Override, OverrideSigner};
use crate::audit::time;
use crate::control::Answer;
use crate::daemon::start::{log_context, node_name};
use crate::daemon::{NOTICE, log};
use crate::grant::approve::{Host, Issued, Signer, approve, recognise};
use crate::grant::ledger::{Entry, Given};
use crate::grant::request::{Object, Request, hex};
use crate::grant::{Signed, Signers, verify};

impl Daemon {
    pub(in crate::daemon) fn override_apply(
        &mut self,
        text: &str,
        signatures: &[String],
        by: Actor,
    ) -> Answer {
        let request = Request::parse(text.as_bytes()).ok();
        let mut record = record_of("opened", request.as_ref(), Some(by));
        match self.try_apply(text, signatures, &mut record) {
            Ok(answer) => answer,
            Err(refusal) => self.refuse_step(record, refusal),
        }
    }

    fn try_apply(
        &mut self,
        text: &str,
        signatures: &[String],
        record: &mut Override,
    ) -> Result<Answer, Refusal> {
        // Who may sign is asked after everything that a look at the request can tell: "signed for db8,
        // this is db7" is what the person must hear first.
        let policy = self.signers();
        let request = self.recognised(text, policy.as_ref().map_or("", |(_, digest)| digest))?;
        let (signers, _) = policy?;
        let signed = self.signed(text, signatures, &signers)?;
        record.signers = signed.iter().map(|one| self.told_signer(one)).collect();
        self.approved(&request, &record.signers)?;
        let number = self.free_number(&request)?;
        let given = Given {
            grant: number,
            nonce: hex(&request.nonce),
            request: text.to_owned(),
            signers: signed
                .into_iter()
                .map(|one| (one.person, one.fingerprint))
                .collect(),
            at_boot_ns: time::boot_ns(),
        };
        record.grant = Some(grant_id(number));
        if matches!(request.object, Object::Drill) {
            "drilled".clone_into(&mut record.step);
        }
        Self::say_aloud(record);
        self.record_step(record.clone())?;
        self.overrides.ledger()?.add(&Entry::Given(given))?;
        match request.object {
            Object::Drill => self.end_drill(number)?,
            Object::Device(_) | Object::Host => self.open_grant(number, request)?,
        }
        let standing = self.overrides.ledger()?.book().grant(number);
        let grant = standing
            .and_then(told_grant)
            .ok_or_else(|| Refusal::new(INTERNAL, "ledger", "the grant is not in the ledger"))?;
        Ok(Answer::Opened(Box::new(grant)))
    }

    fn recognised(&mut self, text: &str, policy: &str) -> Result<Request, Refusal> {
        let (context, _) = log_context();
        let here = Host {
            name: node_name(),
            machine_id: context.machine_id,
            boot_id: context.boot_id,
            now_boot_ns: time::boot_ns(),
            policy: policy.to_owned(),
        };
        // A ledger that cannot be read has issued nothing, and says so itself.
        let ledger = self.overrides.ledger.as_ref();
        let known = recognise(
            text.as_bytes(),
            &here,
            |nonce| ledger.map_or(Issued::Never, |ledger| ledger.book().issued(nonce)),
            |name| self.device_now(name),
        );
        self.overrides.ledger()?;
        Ok(known?)
    }

    fn signed(
        &self,
        text: &str,
        signatures: &[String],
        signers: &Signers,
    ) -> Result<Vec<Signed>, Refusal> {
        let rules = self.config.overrides.key_rules();
        let now = time::wall_ns() / time::NANOS;
        let each = signatures.iter().map(|signature| {
            let armoured = normal(signature);
            verify(text.as_bytes(), armoured.as_bytes(), signers, &rules, now)
                .map_err(Refusal::from)
        });
        each.collect()
    }

    fn told_signer(&self, signed: &Signed) -> OverrideSigner {
        OverrideSigner {
            person: signed.person.clone(),
            key: signed.fingerprint.clone(),
            authority: signed.authority.clone(),
            hardware: signed.hardware,
            emergency: self
                .config
                .overrides
                .is_for_emergencies(&signed.fingerprint),
        }
    }

    fn approved(&self, request: &Request, signed: &[OverrideSigner]) -> Result<(), Refusal> {
        let signers: Vec<Signer<'_>> = signed
            .iter()
            .map(|one| Signer {
                person: &one.person,
                key: &one.key,
                is_for_emergencies: one.emergency,
            })
            .collect();
        let login = request.requester_id.parse().ok();
        let requester = login
            .filter(|_| !self.config.overrides.requester_may_sign)
            .and_then(|uid| names::user(&self.sources.root, uid));
        Ok(approve(request, &signers, requester.as_deref())?)
    }

    /// A number whose place in the kernel half is free, and whose object is nobody else's.
    fn free_number(&mut self, request: &Request) -> Result<u32, Refusal> {
        let next = self.overrides.ledger()?.book().next_grant();
        let taken: Vec<u32> = self
            .overrides
            .open
            .iter()
            .map(|open| slot(open.number))
            .collect();
        if let Some(other) = self.overlapping(request) {
            let what = format!(
                "{0} is open for it already; use that, or close it: dbguard override revoke {0}",
                grant_id(other)
            );
            return Err(Refusal::new(TRY_AGAIN, "overlap", what));
        }
        (next..next.saturating_add(GLASS_SLOTS))
            .find(|number| !taken.contains(&slot(*number)))
            .ok_or_else(|| {
                let what = format!("{GLASS_SLOTS} grants are open, which is as many as can be; close one: dbguard override revoke G-N");
                Refusal::new(TRY_AGAIN, "too-many", what)
            })
    }

    /// A device has one grant at a time.
    fn overlapping(&self, request: &Request) -> Option<u32> {
        let inventory = self.current_inventory().ok()?;
        let new = Open {
            number: 0,
            request: request.clone(),
            is_running: false,
        };
        let wanted = new.objects(&inventory);
        let others = self.overrides.open.iter();
        others
            .filter(|open| {
                open.objects(&inventory)
                    .iter()
                    .any(|key| wanted.contains(key))
            })
            .map(|open| open.number)
            .next()
    }

    /// In the kernel half: first what it opens, then on what; nothing runs under it yet.
    fn open_grant(&mut self, number: u32, request: Request) -> Result<(), Refusal> {
        let (device_ops, host_ops) = masks(&request);
        let entry = GlassEntry {
            number,
            device_ops,
            host_ops,
            reserved: 0,
            expires_boot_ns: request.expires_boot_ns(),
        };
        let uses = request.uses;
        let open = Open {
            number,
            request,
            is_running: false,
        };
        let objects = self
            .current_inventory()
            .map(|inventory| open.objects(&inventory))
            .unwrap_or_default();
        self.overrides.open.push(open);
        let opened = self.guard.open_grant(&entry, uses).and_then(|opened| {
            for key in &objects {
                self.guard.set_object(*key, number)?;
            }
            Ok(opened)
        });
        let failure = match opened {
            Ok(true) => {
                self.set_expiry();
                return Ok(());
            }
            Ok(false) => "its place in the kernel half is taken".to_owned(),
            Err(error) => error.to_string(),
        };
        self.end_grant(number, &failure, None);
        Err(Refusal::new(INTERNAL, "kernel", failure))
    }

    fn end_drill(&mut self, number: u32) -> Result<(), Refusal> {
        let why = "it was a drill".to_owned();
        self.overrides
            .ledger()?
            .add(&Entry::Closed { grant: number, why })?;
        Ok(())
    }

    fn say_aloud(record: &Override) {
        let people: Vec<&str> = record
            .signers
            .iter()
            .map(|one| one.person.as_str())
            .collect();
        let text = format!(
            "override {}: {} opens {} on {}; signed by {}; {}: {}",
            record.step,
            record.grant.as_deref().unwrap_or("-"),
            if record.opens.is_empty() {
                "nothing".to_owned()
            } else {
                record.opens.join(" ")
            },
            record.object.as_deref().unwrap_or("-"),
            people.join(", "),
            record.incident.as_deref().unwrap_or("-"),
            record.reason.as_deref().unwrap_or("-"),
        );
        if record.signers.iter().any(|one| one.emergency) {
            log(ALERT, &format!("EMERGENCY KEY: {text}"));
        } else {
            log(NOTICE, &text);
        }
    }
}

/// The bits of what may be done to the device, and to the host.
fn masks(request: &Request) -> (u32, u32) {
    let bits = |ops: &mut dyn Iterator<Item = &Op>| ops.fold(0, |bits, op| bits | op.bit());
    match request.object {
        Object::Device(_) => (
            bits(&mut request.ops.iter()),
            bits(&mut request.ops.iter().filter(|op| OF_HOST.contains(op))),
        ),
        Object::Host => (0, bits(&mut request.ops.iter())),
        Object::Drill => (0, 0),
    }
}

/// A signature as it was before a terminal or a mail had it: its lines without what stands around them.
fn normal(signature: &str) -> String {
    let lines = signature
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_adds_is_taken_away() {
        let pasted = "  -----BEGIN SSH SIGNATURE-----\r\n  U1NI\r\n\r\n-----END SSH SIGNATURE-----";
        assert_eq!(
            normal(pasted),
            "-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n"
        );
    }
}
