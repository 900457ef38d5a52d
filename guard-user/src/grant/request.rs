//! The request for an override: text in a fixed order that people read, sign as it is, and that this
//! host recognises to the byte.
//!
//! A signature says "this act, on this object, on this host, in this boot". Everything that could be
//! mistaken for another stands in the text; nothing is left to the verifier's memory but the nonce.

use std::fmt::Write as _;

use guard_abi::Op;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Version of the format, on the first line.
pub const FORMAT: &str = "dbguard override request v1";
/// Longest request: what a person will not read is not signed.
pub const MAX_BYTES: usize = 8 * 1024;
/// Longest value of a field.
const MAX_VALUE: usize = 400;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 16;
/// Shortest and longest lifetime, minutes.
pub const MINUTES: std::ops::RangeInclusive<u32> = 1..=480;
/// Most uses of one grant.
pub const MAX_USES: u32 = 8;
/// Most people that sign one.
pub const MAX_SIGNERS: u32 = 16;

/// What is asked for. Text in these fields has no control characters ([`Request::render`] sees to it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Node name of the host.
    pub host: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Names this request and no other.
    pub nonce: [u8; NONCE_BYTES],
    /// The refusal that it is about; `none`.
    pub event: String,
    /// Who asks: login user, session, where they come from.
    pub requester: String,
    /// Login user id of who asks, or `none`.
    pub requester_id: String,
    /// What is to be done, in the order of [`Op::ALL`]; nothing in a drill, and only there.
    pub ops: Vec<Op>,
    /// What it is to be done to.
    pub object: Object,
    /// What lies on it, in words; of the host, what runs on it.
    pub carries: String,
    /// `idle`, `armed` or `held`.
    pub state: String,
    /// Role of the database in replication, or `unknown`.
    pub role: String,
    /// Commands that may be run.
    pub uses: u32,
    /// Minutes from the request on in which they may run.
    pub minutes: u32,
    /// When it was asked for, seconds of CLOCK_BOOTTIME.
    pub asked_boot_s: u64,
    /// The same for people, RFC 3339.
    pub asked: String,
    /// Ticket of the incident.
    pub incident: String,
    /// Why.
    pub reason: String,
    /// Digest of the rules and signers in force.
    pub policy: String,
    /// Signatures that the rules ask for.
    pub signers: u32,
}

/// What an override opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A block device with what it is made of: its partitions, its passthrough nodes.
    Device(Device),
    /// The host: what it boots from, the running kernel, its BMC.
    Host,
    /// Nothing: the chain is exercised.
    Drill,
}

/// A device by everything that tells it from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Kernel name.
    pub name: String,
    /// `major:minor`.
    pub dev: String,
    /// World-wide id; `none`.
    pub wwid: String,
    /// Serial number; `none`.
    pub serial: String,
    /// Sequence number of the disk, never used twice in a boot; 0 where the kernel has none.
    pub diskseq: u64,
    /// Size in bytes.
    pub bytes: u64,
}

/// Why a text is no request. Each names the line.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// More bytes than any request.
    #[error("this is not a request: it is longer than {MAX_BYTES} bytes")]
    Long,
    /// It does not begin like one.
    #[error("this is not a request: its first line is not '{FORMAT}'")]
    Format,
    /// It went through something that changes line ends.
    #[error(
        "the request was changed on its way: line {0} ends with a carriage return; copy it without conversion"
    )]
    CarriageReturn(usize),
    /// A byte that no request has.
    #[error(
        "the request was changed on its way: line {0} has a character that requests do not have"
    )]
    Character(usize),
    /// Another line than the one that stands there.
    #[error("the request was changed on its way: line {line} should be '{wanted}: …'")]
    Order {
        /// The line, from 1.
        line: usize,
        /// The field that belongs there.
        wanted: &'static str,
    },
    /// A value that the field cannot have.
    #[error("the request was changed on its way: line {line}, '{field}' cannot be '{value}'")]
    Value {
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// What stands there.
        value: String,
    },
    /// Something after the last line.
    #[error("the request was changed on its way: there is more after its last line")]
    Trailing,
}

impl Request {
    /// The text. What it is made from is cut to what a line may hold, and characters that do something
    /// on a terminal, or look like a new line, are replaced.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(1024);
        let mut line = |field: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{field}: {}", plain(value));
        };
        let (object, device) = match &self.object {
            Object::Host => ("host", None),
            Object::Drill => ("drill", None),
            Object::Device(device) => ("device", Some(device)),
        };
        line("host", &self.host);
        line("machine-id", &self.machine_id);
        line("boot-id", &self.boot_id);
        line("nonce", &hex(&self.nonce));
        line("event", &self.event);
        line("requester", &self.requester);
        line("requester-id", &self.requester_id);
        line("opens", &ops_text(&self.ops));
        line("object", object);
        if let Some(device) = device {
            line("device", &device.name);
            line("device-number", &device.dev);
            line("wwid", &device.wwid);
            line("serial", &device.serial);
            line("diskseq", &device.diskseq.to_string());
            line("bytes", &device.bytes.to_string());
        }
        line("carries", &self.carries);
        line("state", &self.state);
        line("role", &self.role);
        line("uses", &self.uses.to_string());
        line("minutes", &self.minutes.to_string());
        line("asked-boot-seconds", &self.asked_boot_s.to_string());
        line("asked", &self.asked);
        line("incident", &self.incident);
        line("reason", &self.reason);
        line("policy", &self.policy);
        line("signers", &self.signers.to_string());
        format!("{FORMAT}\n{text}")
    }

    /// The request that renders to exactly this text.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut lines = Lines::of(bytes)?;
        let request = Self {
            host: lines.text("host")?,
            machine_id: lines.text("machine-id")?,
            boot_id: lines.text("boot-id")?,
            nonce: lines.value("nonce", nonce_of)?,
            event: lines.text("event")?,
            requester: lines.text("requester")?,
            requester_id: lines.text("requester-id")?,
            ops: lines.ops()?,
            object: lines.object()?,
            carries: lines.text("carries")?,
            state: lines.text("state")?,
            role: lines.text("role")?,
            uses: lines.number("uses", 1..=u64::from(MAX_USES))? as u32,
            minutes: lines.number(
                "minutes",
                u64::from(*MINUTES.start())..=u64::from(*MINUTES.end()),
            )? as u32,
            asked_boot_s: lines.number("asked-boot-seconds", 0..=u64::MAX)?,
            asked: lines.text("asked")?,
            incident: lines.text("incident")?,
            reason: lines.text("reason")?,
            policy: lines.text("policy")?,
            signers: lines.number("signers", 1..=u64::from(MAX_SIGNERS))? as u32,
        };
        if !lines.rest.is_empty() {
            return Err(ParseError::Trailing);
        }
        Ok(request)
    }

    /// End of its life, ns of CLOCK_BOOTTIME.
    pub const fn expires_boot_ns(&self) -> u64 {
        let end = self.asked_boot_s.saturating_add(self.minutes as u64 * 60);
        end.saturating_mul(1_000_000_000)
    }
}

/// What the host keeps of a request, to know it again.
pub fn digest(text: &[u8]) -> String {
    hex(&Sha256::digest(text))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Text for one line: no character that ends it, steers a terminal or changes the direction of
/// reading; at most [`MAX_VALUE`] bytes, with dots where it was cut; never empty.
pub fn plain(text: &str) -> String {
    const CUT: &str = "...";
    let letters = text.trim().chars();
    let mut kept: String = letters
        .map(|letter| if is_plain(letter) { letter } else { '?' })
        .collect();
    if kept.len() > MAX_VALUE {
        kept.truncate(MAX_VALUE - CUT.len());
        kept.push_str(CUT);
    }
    match kept.trim() {
        "" => "none".to_owned(),
        text => text.to_owned(),
    }
}

/// Control and format characters, separators of lines, and what reorders text (Unicode's Bidi_Control)
/// are none; nor is what two encodings could make of the same letter: requests are ASCII.
const fn is_plain(letter: char) -> bool {
    letter.is_ascii_graphic() || letter == ' '
}

/// Lines that have not been read yet.
struct Lines<'a> {
    rest: &'a str,
    at: usize,
    opens_nothing: bool,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_BYTES {
            return Err(ParseError::Long);
        }
        let line_of = |at: usize| bytes[..at].split(|byte| *byte == b'\n').count();
        if let Some(at) = bytes.iter().position(|byte| *byte == b'\r') {
            return Err(ParseError::CarriageReturn(line_of(at)));
        }
        let wrong = |byte: &u8| *byte != b'\n' && !is_plain(char::from(*byte));
        if let Some(at) = bytes.iter().position(wrong) {
            return Err(ParseError::Character(line_of(at)));
        }
        // Only ASCII is left.
        let text = str::from_utf8(bytes).map_err(|_| ParseError::Format)?;
        let rest = text
            .strip_prefix(FORMAT)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(ParseError::Format)?;
        Ok(Self {
            rest,
            at: 1,
            opens_nothing: false,
        })
    }

    /// The value of the next line, which must be this field's.
    fn next(&mut self, field: &'static str) -> Result<&'a str, ParseError> {
        self.at += 1;
        let order = ParseError::Order {
            line: self.at,
            wanted: field,
        };
        let (line, rest) = self.rest.split_once('\n').ok_or(order.clone())?;
        let value = line
            .strip_prefix(field)
            .and_then(|rest| rest.strip_prefix(": "))
            .ok_or(order)?;
        self.rest = rest;
        // What would be rendered otherwise is not what was rendered.
        if value.is_empty() || plain(value) != value {
            return Err(self.wrong(field, value));
        }
        Ok(value)
    }

    fn wrong(&self, field: &'static str, value: &str) -> ParseError {
        ParseError::Value {
            line: self.at,
            field,
            value: plain(value),
        }
    }

    fn text(&mut self, field: &'static str) -> Result<String, ParseError> {
        self.next(field).map(str::to_owned)
    }

    fn value<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        let value = self.next(field)?;
        read(value).ok_or_else(|| self.wrong(field, value))
    }

    fn number(
        &mut self,
        field: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, ParseError> {
        self.value(field, |text| {
            let number: u64 = text.parse().ok()?;
            // `+5` and `05` are read as 5, and were never written.
            (number.to_string() == text && range.contains(&number)).then_some(number)
        })
    }

    fn ops(&mut self) -> Result<Vec<Op>, ParseError> {
        let ops = self.value("opens", ops_of)?;
        self.opens_nothing = ops.is_empty();
        Ok(ops)
    }

    fn object(&mut self) -> Result<Object, ParseError> {
        let is_drill = self.opens_nothing;
        let other = self.value("object", |text| match text {
            "drill" if is_drill => Some(Some(Object::Drill)),
            "host" if !is_drill => Some(Some(Object::Host)),
            "device" if !is_drill => Some(None),
            _ => None,
        })?;
        if let Some(object) = other {
            return Ok(object);
        }
        Ok(Object::Device(Device {
            name: self.text("device")?,
            dev: self.text("device-number")?,
            wwid: self.text("wwid")?,
            serial: self.text("serial")?,
            diskseq: self.number("diskseq", 0..=u64::MAX)?,
            bytes: self.number("bytes", 0..=u64::MAX)?,
        }))
    }
}

fn nonce_of(text: &str) -> Option<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    if text.len() != 2 * NONCE_BYTES {
        return None;
    }
    for (byte, at) in nonce.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    // Upper case, or a sign, is not how it was written.
    (hex(&nonce) == text).then_some(nonce)
}

/// What a drill opens.
const NOTHING: &str = "nothing";

/// Operation classes in words.
pub fn ops_text(ops: &[Op]) -> String {
    let words: Vec<&str> = ops.iter().map(|op| op.as_str()).collect();
    match words.as_slice() {
        [] => NOTHING.to_owned(),
        words => words.join(" "),
    }
}

/// In the order of [`Op::ALL`], each once.
fn ops_of(text: &str) -> Option<Vec<Op>> {
    if text == NOTHING {
        return Some(Vec::new());
    }
    let ops: Vec<Op> = text.split(' ').map(Op::parse).collect::<Option<_>>()?;
    ops.is_sorted_by(|one, other| one < other).then_some(ops)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
