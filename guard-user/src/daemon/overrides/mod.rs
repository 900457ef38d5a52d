//! Breaking the glass: requests, what signed ones open, what runs under it, and its end.
//!
//! What is refused or opened is recorded before it is done; a nonce is spent and a use counted in the
//! ledger before the kernel half hears of it. The kernel half alone enforces: with no controller a grant
//! still ends, and still opens nothing to anybody else.

mod apply;
mod ask;
mod run;
mod signers;
mod words;

use std::path::Path;
use std::time::{Duration, Instant};

use guard_abi::{DeviceEntry, DeviceKey, Op};
use tokio::sync::mpsc;

use super::start::confirm_host;
use super::{Daemon, NOTICE, WARNING, log};
use crate::audit::enrich::dev_of_text;
use crate::audit::record::{Actor, Body, Denial, Override, RefusedOverride};
use crate::audit::time;
use crate::control::{Answer, Grant, Overrides as Told};
use crate::grant::approve;
use crate::grant::ledger::{Entry, LEDGER_PATH, Ledger, LedgerError, Standing};
use crate::grant::request::{Object, Request, hex};
use crate::grant::{SignatureError, SignersError, grant_id, grant_number};
use crate::kernel::GuardError;
use crate::session;
use crate::sysexits::{CONFIG, INTERNAL, NO_INPUT, NOT_PERMITTED, TRY_AGAIN, USAGE};
use crate::topology::Inventory;

/// systemd's ALERT (sd-daemon(3)).
const ALERT: u8 = 1;

/// Ends of commands that wait to be looked at; those who tell of more wait too.
const ENDS: usize = 16;

/// Classes that are about the host also where a device is opened: what is written to it has to be
/// booted from.
const OF_HOST: [Op; 5] = [Op::BootFile, Op::Kexec, Op::Bmc, Op::Reset, Op::Guard];

/// What is known about overrides.
#[derive(Debug)]
pub struct Overrides {
    /// Why not, where it cannot be used.
    ledger: Result<Ledger, LedgerError>,
    open: Vec<Open>,
    /// The devices that they are about, as the last survey found them.
    objects: Vec<(DeviceKey, u32)>,
    /// Tells the loop that a command has ended.
    ended: Option<mpsc::Sender<u32>>,
}

/// A grant that the kernel half holds.
#[derive(Debug)]
struct Open {
    number: u32,
    request: Request,
    /// Something runs under it, or is about to.
    is_running: bool,
}

impl Open {
    /// dev_t of the device that it is about.
    fn device(&self) -> Option<(u32, u64)> {
        match &self.request.object {
            Object::Device(device) => Some((dev_of_text(&device.dev)?, device.diskseq)),
            Object::Host | Object::Drill => None,
        }
    }
}

/// Why a step is not taken.
#[derive(Debug)]
struct Refusal {
    exit: u8,
    code: &'static str,
    why: String,
}

impl Refusal {
    fn new(exit: u8, code: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { exit, code, why }
    }
}

impl From<approve::Refused> for Refusal {
    fn from(refused: approve::Refused) -> Self {
        Self::new(NOT_PERMITTED, refused.code(), refused.to_string())
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        Self::new(NOT_PERMITTED, error.code(), error.to_string())
    }
}

impl From<SignersError> for Refusal {
    fn from(error: SignersError) -> Self {
        Self::new(CONFIG, "signers", error.to_string())
    }
}

impl From<&LedgerError> for Refusal {
    fn from(error: &LedgerError) -> Self {
        Self::new(INTERNAL, "ledger", error.to_string())
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        (&error).into()
    }
}

impl From<GuardError> for Refusal {
    fn from(error: GuardError) -> Self {
        Self::new(INTERNAL, "kernel", error.to_string())
    }
}

/// What a record says about a request.
fn record_of(step: &str, request: Option<&Request>, by: Option<Actor>) -> Override {
    let mut record = Override {
        step: step.to_owned(),
        by,
        ..Override::default()
    };
    if let Some(request) = request {
        record.nonce = Some(hex(&request.nonce));
        record.event = Some(request.event.clone());
        record.opens = words::opens(request);
        record.object = Some(words::object(request));
        record.carries = Some(request.carries.clone());
        record.requester = Some(request.requester.clone());
        record.incident = Some(request.incident.clone());
        record.reason = Some(request.reason.clone());
        record.minutes = Some(request.minutes);
        record.uses = Some(request.uses);
        record.signers_needed = Some(request.signers);
    }
    record
}

impl Overrides {
    /// Opens the ledger, which stays locked.
    pub(super) fn new(boot_id: &str) -> Self {
        Self {
            ledger: Ledger::open(Path::new(LEDGER_PATH), boot_id),
            open: Vec::new(),
            objects: Vec::new(),
            ended: None,
        }
    }

    /// Something runs under a grant: writes are judged one by one, so that its end is the end.
    pub(super) fn any_runs(&self) -> bool {
        self.open.iter().any(|open| open.is_running)
    }

    /// The grant with this number, where it is open.
    fn of(&self, number: u32) -> Option<&Open> {
        self.open.iter().find(|open| open.number == number)
    }

    fn of_mut(&mut self, number: u32) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.number == number)
    }

    /// Which devices the open grants are about, by what a survey has read.
    pub(super) fn find_objects(&mut self, inventory: &Inventory) {
        self.objects.clear();
        for open in &self.open {
            let keys = open.objects(inventory).into_iter();
            self.objects.extend(keys.map(|key| (key, open.number)));
        }
    }

    /// Writes the grants that are open over what the devices' entries say.
    pub(super) fn lay_grants_over(&self, entries: &mut [(DeviceKey, DeviceEntry)]) {
        for (key, number) in &self.objects {
            for (_, entry) in entries.iter_mut().filter(|(known, _)| known == key) {
                entry.glass = *number;
            }
        }
    }

    fn ledger(&mut self) -> Result<&mut Ledger, Refusal> {
        self.ledger.as_mut().map_err(|error| Refusal::from(&*error))
    }
}

impl Open {
    /// The devices that it is about, as long as they are the ones that were meant.
    fn objects(&self, inventory: &Inventory) -> Vec<DeviceKey> {
        let Some((dev, diskseq)) = self.device() else {
            return Vec::new();
        };
        match inventory.by_dev(dev) {
            Some(device) if device.disk_seq == diskseq => inventory.made_of(dev),
            _ => Vec::new(),
        }
    }
}

impl Daemon {
    /// Who signed what let this through.
    pub(super) fn add_grant(&self, denial: &mut Denial) {
        let (Some(grant), Ok(ledger)) = (&mut denial.grant, &self.overrides.ledger) else {
            return;
        };
        let number = grant_number(&grant.id);
        if let Some(known) = number.and_then(|number| ledger.book().grant(number)) {
            let signers = known.given.signers.iter();
            grant.signers = signers.map(|(_, key)| key.clone()).collect();
            let request = Request::parse(known.given.request.as_bytes());
            grant.incident = request.ok().map(|request| request.incident);
        }
    }

    /// Records a step before it is taken.
    fn record_step(&mut self, record: Override) -> Result<(), Refusal> {
        let body = Body::Override(Box::new(record));
        self.record_first(body)
            .map_err(|why| Refusal::new(TRY_AGAIN, "audit", why))
    }

    /// Records that a step was refused, and answers so.
    fn refuse_step(&mut self, mut record: Override, refusal: Refusal) -> Answer {
        let Refusal { exit, code, why } = refusal;
        log(WARNING, &format!("override {} refused: {why}", record.step));
        record.refused = Some(RefusedOverride {
            code: code.to_owned(),
            why: why.clone(),
        });
        self.note(Body::Override(Box::new(record)));
        Answer::Refused { exit, message: why }
    }

    /// Grants of an earlier controller: those that the kernel half still holds go on.
    pub(super) fn take_over_grants(&mut self) {
        if let Err(error) = self.try_take_over() {
            self.set_health("overrides", Some(error.why));
        }
    }

    fn try_take_over(&mut self) -> Result<(), Refusal> {
        let held: Vec<u32> = self
            .guard
            .grants()?
            .iter()
            .map(|entry| entry.number)
            .collect();
        let standing: Vec<Standing> = match &self.overrides.ledger {
            Ok(ledger) => ledger.book().grants().to_vec(),
            Err(error) => {
                let refusal = Refusal::from(error);
                // Nothing is open that nobody can account for.
                for number in held {
                    self.guard.close_grant(number)?;
                }
                return Err(refusal);
            }
        };
        let live = |number: &u32| {
            let known = standing.iter().find(|one| one.given.grant == *number);
            known.is_some_and(|one| one.closed.is_none())
        };
        for number in held.iter().filter(|number| !live(number)) {
            self.guard.close_grant(*number)?;
        }
        for one in standing.iter().filter(|one| one.closed.is_none()) {
            let number = one.given.grant;
            let request = Request::parse(one.given.request.as_bytes());
            match request {
                Ok(request) if held.contains(&number) => self.overrides.open.push(Open {
                    number,
                    request,
                    is_running: true,
                }),
                _ => self.end_grant(number, "the kernel half that held it was replaced", None),
            }
        }
        self.close_expired();
        Ok(())
    }

    /// Where the loop hears that a command has ended, also one that an earlier controller let run.
    pub(super) fn hear_of_ends(&mut self) -> mpsc::Receiver<u32> {
        let (sender, receiver) = mpsc::channel(ENDS);
        self.overrides.ended = Some(sender);
        let open: Vec<u32> = self.overrides.open.iter().map(|open| open.number).collect();
        for number in open {
            self.watch_running(number);
        }
        receiver
    }

    /// Closes what has come to its end.
    pub(super) fn close_expired(&mut self) {
        let now = time::boot_ns();
        let is_over = |open: &&Open| open.request.expires_boot_ns() <= now;
        let over: Vec<u32> = self
            .overrides
            .open
            .iter()
            .filter(is_over)
            .map(|open| open.number)
            .collect();
        for number in over {
            self.end_grant(number, "its time is over", None);
        }
        self.set_expiry();
    }

    fn set_expiry(&mut self) {
        let now = time::boot_ns();
        let ends = self
            .overrides
            .open
            .iter()
            .map(|open| open.request.expires_boot_ns());
        let next = ends
            .min()
            .map(|end| Duration::from_nanos(end.saturating_sub(now)));
        self.due.overrides = next.map(|wait| Instant::now() + wait);
    }

    /// Closes a grant in the kernel half, then everywhere else.
    fn end_grant(&mut self, number: u32, why: &str, by: Option<Actor>) {
        let closed = self.guard.close_grant(number);
        let problem = closed.err().map(|error| {
            format!(
                "closing {}: {error}; it ends by itself when its time is over",
                grant_id(number)
            )
        });
        self.set_health("closing", problem);
        let at = self
            .overrides
            .open
            .iter()
            .position(|open| open.number == number);
        let open = at.map(|at| self.overrides.open.remove(at));
        let entered = self.overrides.ledger().and_then(|ledger| {
            let why = why.to_owned();
            ledger
                .add(&Entry::Closed { grant: number, why })
                .map_err(Refusal::from)
        });
        if let Err(refusal) = entered {
            self.set_health("overrides", Some(refusal.why));
        }
        let mut record = record_of("closed", open.as_ref().map(|open| &open.request), by);
        record.grant = Some(grant_id(number));
        record.why = Some(why.to_owned());
        log(
            NOTICE,
            &format!("grant {} is closed: {why}", grant_id(number)),
        );
        self.note(Body::Override(Box::new(record)));
        self.set_expiry();
        // What was opened under it is judged like what was opened before arming.
        self.look_for_descriptors();
    }

    pub(super) fn override_revoke(&mut self, number: u32, by: Actor) -> Answer {
        if self.overrides.of(number).is_none() {
            let why = format!(
                "{} is not open; `dbguard override list` shows what is",
                grant_id(number)
            );
            return Answer::Refused {
                exit: NO_INPUT,
                message: why,
            };
        }
        let who = by.login.clone();
        self.end_grant(number, &format!("revoked by {who}"), Some(by));
        Answer::Done(format!(
            "{} is closed, also for what runs under it",
            grant_id(number)
        ))
    }

    /// A ledger that is damaged cannot be moved away by anybody else while the host is guarded.
    pub(super) fn override_reset(&mut self, confirmed: &str, by: Actor) -> Answer {
        let record = record_of("reset", None, Some(by));
        match self.try_reset(confirmed, &record) {
            Ok(text) => Answer::Done(text),
            Err(refusal) => self.refuse_step(record, refusal),
        }
    }

    fn try_reset(&mut self, confirmed: &str, record: &Override) -> Result<String, Refusal> {
        confirm_host(confirmed, "nothing was done")
            .map_err(|why| Refusal::new(USAGE, "other-host", why))?;
        if self.overrides.ledger.is_ok() {
            let what = "the ledger is whole; to close a grant: dbguard override revoke G-N";
            return Err(Refusal::new(NO_INPUT, "not-damaged", what));
        }
        self.record_step(record.clone())?;
        for entry in self.guard.grants()? {
            self.guard.close_grant(entry.number)?;
        }
        self.overrides.open.clear();
        let path = Path::new(LEDGER_PATH);
        self.overrides.ledger = Ok(Ledger::begin_anew(path, &session::boot_id())?);
        self.set_health("overrides", None);
        self.set_health("closing", None);
        self.set_expiry();
        self.look_for_descriptors();
        let aside = path.with_extension("damaged");
        Ok(format!(
            "the damaged ledger is kept as {}; every request and grant from before is void",
            aside.display()
        ))
    }

    pub(super) fn override_list(&mut self) -> Answer {
        let mut told = Told::default();
        match &self.overrides.ledger {
            Ok(ledger) => {
                told.waiting = ledger.book().waiting();
                told.grants = told_grants(ledger, |_| true);
            }
            Err(error) => told.problems.push(error.to_string()),
        }
        told.problems.extend(self.signers_problems());
        Answer::Overrides(told)
    }

    /// For a status.
    pub(super) fn open_grants(&self) -> Vec<Grant> {
        match &self.overrides.ledger {
            Ok(ledger) => told_grants(ledger, |standing| standing.closed.is_none()),
            Err(_) => Vec::new(),
        }
    }
}

/// The grants of a ledger that are asked for.
fn told_grants(ledger: &Ledger, wanted: impl Fn(&Standing) -> bool) -> Vec<Grant> {
    let given = ledger.book().grants().iter();
    given
        .filter(|one| wanted(one))
        .filter_map(told_grant)
        .collect()
}

/// A grant as the command line shows it.
fn told_grant(standing: &Standing) -> Option<Grant> {
    let request = Request::parse(standing.given.request.as_bytes()).ok()?;
    let left = request.expires_boot_ns().saturating_sub(time::boot_ns());
    let signers = standing.given.signers.iter();
    Some(Grant {
        id: grant_id(standing.given.grant),
        opens: words::opens(&request),
        object: words::object(&request),
        signers: signers
            .map(|(person, key)| format!("{person} ({key})"))
            .collect(),
        uses: request.uses,
        used: standing.used,
        seconds_left: if standing.closed.is_some() {
            0
        } else {
            left / time::NANOS
        },
        closed: standing.closed.clone(),
        carries: request.carries,
        incident: request.incident,
        reason: request.reason,
        requester: request.requester,
    })
}
