//! Which records are asked for.
//!
//! Most lines of a log are not: they are told by words that every wanted line must have, which are
//! looked for in whole blocks of the log. What has all of them is read and judged.

mod says;

use memchr::memmem::Finder;

use super::light::{Either, Light, Process};
use super::scan::{Text, peek};
use says::says;

/// Stands for "has none" where a filter is about what not every process or device has.
pub const NONE: &str = "-";

/// What a record must be like. An absent part asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not before this time (RFC 3339 in UTC, as records have it).
    pub since: Option<String>,
    /// Before this time.
    pub until: Option<String>,
    /// State of the host.
    pub state: Option<String>,
    /// Mode of the host.
    pub mode: Option<String>,
    /// Kind of the record.
    pub kind: Option<String>,
    /// Operation class: refused, or opened by an override.
    pub op: Option<String>,
    /// Decision of a denial.
    pub decision: Option<String>,
    /// Event id, as it is written: the refusal and the overrides about it.
    pub event: Option<String>,
    /// Device: name, path, number, WWID or serial.
    pub device: Option<String>,
    /// Object of a denial, by its name alone.
    pub object: Option<String>,
    /// WWID of a denial's object; [`NONE`].
    pub wwid: Option<String>,
    /// A person in any part: login user, user (name or number), requester or signer.
    pub user: Option<String>,
    /// Login user.
    pub login: Option<String>,
    /// User that the process ran as: name, or number where it has no name.
    pub run_as: Option<String>,
    /// systemd unit; [`NONE`].
    pub unit: Option<String>,
    /// Container; [`NONE`].
    pub container: Option<String>,
    /// Executable.
    pub exe: Option<String>,
    /// Grant.
    pub grant: Option<String>,
    /// Ticket of an incident.
    pub incident: Option<String>,
    /// Text that some value must contain.
    pub text: Option<String>,
}

/// A filter made ready for many lines.
#[derive(Debug)]
pub struct Matcher<'f> {
    filter: &'f Filter,
    /// Words that every wanted line has, the longest first.
    words: Vec<Finder<'static>>,
    /// More than the time is asked for.
    reads: bool,
}

impl Filter {
    /// Makes it ready.
    pub fn matcher(&self) -> Matcher<'_> {
        let mut words = self.words();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let time_alone = Self {
            since: None,
            until: None,
            ..self.clone()
        };
        Matcher {
            filter: self,
            reads: time_alone != Self::default(),
            words: words
                .iter()
                .map(|word| Finder::new(word.as_bytes()).into_owned())
                .collect(),
        }
    }

    /// Words that every wanted line must have. The writer escapes a text in one way only.
    fn words(&self) -> Vec<String> {
        let whole = [
            &self.state,
            &self.mode,
            &self.kind,
            &self.op,
            &self.decision,
            &self.event,
            &self.object,
            &self.login,
            &self.exe,
            &self.grant,
            &self.incident,
        ];
        let mut words: Vec<String> = whole
            .into_iter()
            .flatten()
            .map(|value| quoted(value))
            .collect();
        let perhaps = [&self.wwid, &self.unit, &self.container];
        words.extend(
            perhaps
                .into_iter()
                .flatten()
                .map(|value| match value.as_str() {
                    NONE => "null".to_owned(),
                    value => quoted(value),
                }),
        );
        // A name, or a number that has no quotation marks; a part of a text.
        let parts = [&self.user, &self.run_as, &self.text];
        words.extend(parts.into_iter().flatten().map(|value| inner(value)));
        words.extend(self.device.iter().map(|device| inner(bare(device))));
        words.retain(|word| !word.is_empty());
        words
    }

    /// The options that ask for this, for people to copy.
    pub fn options(&self) -> Vec<String> {
        let Self {
            since,
            until,
            state,
            mode,
            kind,
            op,
            decision,
            event,
            device,
            object,
            wwid,
            user,
            login,
            run_as,
            unit,
            container,
            exe,
            grant,
            incident,
            text,
        } = self;
        let parts = [
            ("--since", since),
            ("--until", until),
            ("--host-state", state),
            ("--mode", mode),
            ("--kind", kind),
            ("--op", op),
            ("--decision", decision),
            ("--event", event),
            ("--device", device),
            ("--object", object),
            ("--wwid", wwid),
            ("--user", user),
            ("--login", login),
            ("--run-as", run_as),
            ("--unit", unit),
            ("--container", container),
            ("--exe", exe),
            ("--grant", grant),
            ("--incident", incident),
            ("--text", text),
        ];
        let mut words = Vec::new();
        for (option, value) in parts {
            if let Some(value) = value {
                words.extend([option.to_owned(), value.clone()]);
            }
        }
        words
    }

    fn accepts_time(&self, time: &str) -> bool {
        self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time < until)
    }

    /// Judges a record by what is read of it; `line` is the whole of it.
    pub fn accepts(&self, light: &Light<'_>, line: &[u8]) -> bool {
        let is =
            |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|one| one == has);
        let has = |wanted: &Option<String>, has: Option<&str>| {
            wanted.as_deref().is_none_or(|one| has == Some(one))
        };
        let event = light.event.as_ref().map(Text::as_str);
        let decision = light.decision.as_ref().map(Text::as_str);
        self.accepts_time(light.time.as_str())
            && is(&self.state, light.state.as_str())
            && is(&self.mode, light.mode.as_str())
            && is(&self.kind, light.kind.as_str())
            && has(&self.decision, decision)
            && has(&self.event, event)
            && self.accepts_act(light)
            && self.accepts_people(light)
            && self.text.as_deref().is_none_or(|text| says(line, text))
    }

    fn accepts_act(&self, light: &Light<'_>) -> bool {
        let op = |wanted: &str| {
            light.op.as_ref().is_some_and(|op| op.as_str() == wanted)
                || light.opens.iter().any(|op| op.as_str() == wanted)
        };
        let (grant, incident) = match &light.grant {
            Some(Either::Map(used)) => (Some(&used.id), used.incident.as_ref()),
            Some(Either::Text(grant)) => (Some(grant), light.incident.as_ref()),
            None => (None, light.incident.as_ref()),
        };
        let is = |wanted: &Option<String>, has: Option<&Text<'_>>| {
            wanted
                .as_deref()
                .is_none_or(|wanted| has.is_some_and(|has| has.as_str() == wanted))
        };
        let object = |wanted: &str| match &light.object {
            Some(Either::Map(object)) => object.name.as_str() == wanted,
            _ => false,
        };
        let wwid = |wanted: &str| match &light.object {
            Some(Either::Map(object)) => is_or_none(wanted, object.wwid.as_ref()),
            _ => false,
        };
        self.op.as_deref().is_none_or(op)
            && is(&self.grant, grant)
            && is(&self.incident, incident)
            && self.object.as_deref().is_none_or(object)
            && self.wwid.as_deref().is_none_or(wwid)
            && self
                .device
                .as_deref()
                .is_none_or(|wanted| is_about(light, wanted))
    }

    fn accepts_people(&self, light: &Light<'_>) -> bool {
        let processes = || light.process.iter().chain(&light.by);
        let user = |wanted: &str| {
            let texts = [&light.user, &light.login, &light.requester];
            processes().any(|process| is_person(process, wanted))
                || texts
                    .into_iter()
                    .flatten()
                    .any(|one| one.as_str() == wanted)
                || light
                    .signers
                    .iter()
                    .any(|one| one.person.as_str() == wanted)
        };
        let login = |wanted: &str| {
            processes().any(|process| process.login.as_str() == wanted)
                || light
                    .login
                    .as_ref()
                    .is_some_and(|one| one.as_str() == wanted)
        };
        let run_as = |wanted: &str| {
            processes().any(|process| process.run_as() == wanted)
                || light
                    .user
                    .as_ref()
                    .is_some_and(|one| one.as_str() == wanted)
        };
        // Where a process is told: of a denial, or the holder of a descriptor.
        let place =
            |wanted: &str, of: fn(&Process<'_>) -> Option<String>, flat: Option<&Text<'_>>| {
                match &light.process {
                    Some(process) => match of(process) {
                        Some(has) => has == wanted,
                        None => wanted == NONE,
                    },
                    None if light.kind.as_str() == "descriptor" => is_or_none(wanted, flat),
                    None => false,
                }
            };
        let unit = |wanted: &str| {
            let of = |process: &Process<'_>| Some(process.unit.as_ref()?.as_str().to_owned());
            place(wanted, of, light.unit.as_ref())
        };
        let container = |wanted: &str| {
            let of = |process: &Process<'_>| Some(process.container.as_ref()?.as_str().to_owned());
            place(wanted, of, light.container.as_ref())
        };
        let exe = |wanted: &str| {
            let process = light.process.as_ref();
            process.is_some_and(|process| process.program() == wanted)
                || light.exe.as_ref().is_some_and(|one| one.as_str() == wanted)
        };
        self.user.as_deref().is_none_or(user)
            && self.login.as_deref().is_none_or(login)
            && self.run_as.as_deref().is_none_or(run_as)
            && self.unit.as_deref().is_none_or(unit)
            && self.container.as_deref().is_none_or(container)
            && self.exe.as_deref().is_none_or(exe)
    }
}

impl Matcher<'_> {
    /// Hands the wanted lines of a block to `take`, with what was read of them where the filter
    /// asks for more than a time.
    pub fn lines<'b>(&self, bytes: &'b [u8], mut take: impl FnMut(&'b [u8])) {
        let Some((rarest, others)) = self.words.split_first() else {
            for line in super::scan::lines(bytes) {
                if self.accepts(line) {
                    take(line);
                }
            }
            return;
        };
        let mut at = 0;
        while let Some(hit) = rarest.find(&bytes[at..]) {
            let hit = at + hit;
            let start = memchr::memrchr(b'\n', &bytes[..hit]).map_or(0, |before| before + 1);
            let end = memchr::memchr(b'\n', &bytes[hit..]).map_or(bytes.len(), |end| hit + end);
            let line = &bytes[start..end];
            if others.iter().all(|word| word.find(line).is_some()) && self.accepts(line) {
                take(line);
            }
            at = (end + 1).min(bytes.len());
        }
    }

    fn accepts(&self, line: &[u8]) -> bool {
        // Cheaper than reading it.
        let Some(seen) = peek(line) else { return false };
        if !self.filter.accepts_time(&seen.time) {
            return false;
        }
        !self.reads || Light::read(line).is_some_and(|light| self.filter.accepts(&light, line))
    }
}

fn is_or_none(wanted: &str, has: Option<&Text<'_>>) -> bool {
    match has {
        Some(has) => has.as_str() == wanted,
        None => wanted == NONE,
    }
}

fn is_person(process: &Process<'_>, wanted: &str) -> bool {
    process.login.as_str() == wanted
        || process
            .user
            .as_ref()
            .is_some_and(|user| user.as_str() == wanted)
        || process.uid.is_some_and(|uid| uid.to_string() == wanted)
}

/// A device as records name it: without its directory.
fn bare(device: &str) -> &str {
    device.strip_prefix("/dev/").unwrap_or(device)
}

fn is_about(light: &Light<'_>, wanted: &str) -> bool {
    let name = bare(wanted);
    let is = |text: &str| text == wanted || bare(text) == name;
    let flat = [&light.device, &light.dev];
    if flat.into_iter().flatten().any(|one| is(one.as_str())) {
        return true;
    }
    match &light.object {
        Some(Either::Map(object)) => {
            is(object.name.as_str())
                || is(object.dev.as_str())
                || [&object.wwid, &object.serial]
                    .into_iter()
                    .flatten()
                    .any(|one| is(one.as_str()))
        }
        // `nvme1n1 (eui.0025…)`.
        Some(Either::Text(words)) => {
            is(words.as_str()) || words.as_str().split([' ', '(', ')']).any(is)
        }
        None => false,
    }
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    // A string is never refused.
    serde_json::to_string(text).unwrap_or_default()
}

fn inner(text: &str) -> String {
    let quoted = quoted(text);
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests;
