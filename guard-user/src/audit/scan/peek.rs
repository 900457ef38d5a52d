//! What every reader needs of a line, without parsing it.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::audit::record::SCHEMA;

/// Number, time and kind of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    /// Its number.
    pub seq: u64,
    /// Its time, RFC 3339 in UTC.
    pub time: Cow<'a, str>,
    /// What happened, as `kind` says it.
    pub kind: Cow<'a, str>,
}

/// Looks at a line; `None` for what is no record of this version.
pub fn peek(line: &[u8]) -> Option<Peek<'_>> {
    as_written(line).or_else(|| parsed(line))
}

/// A line as the one writer writes it: its members in their order, without spaces. Inside a string
/// a quotation mark has a backslash before it, so no value can look like a member.
fn as_written(line: &[u8]) -> Option<Peek<'_>> {
    let rest = line.strip_prefix(b"{\"v\":1,\"seq\":")?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (number, mut rest) = rest.split_at(digits);
    let seq = std::str::from_utf8(number).ok()?.parse().ok()?;
    if let Some(event) = rest.strip_prefix(b",\"event\":\"") {
        rest = after_string(event)?.1;
    }
    let (time, rest) = after_string(rest.strip_prefix(b",\"time\":\"")?)?;
    let kind = memmem::find(rest, b",\"kind\":\"")?;
    let (kind, _) = after_string(&rest[kind + b",\"kind\":\"".len()..])?;
    // A line that was cut is none.
    if line.last() != Some(&b'}') {
        return None;
    }
    Some(Peek {
        seq,
        time: Cow::Borrowed(time),
        kind: Cow::Borrowed(kind),
    })
}

/// A string without escapes up to its quotation mark, and what stands behind that.
fn after_string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr::memchr(b'"', bytes)?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    (!text.contains('\\')).then_some((text, &bytes[end + 1..]))
}

/// A record that somebody else has written out again.
fn parsed(line: &[u8]) -> Option<Peek<'_>> {
    #[derive(serde::Deserialize)]
    struct Members<'a> {
        v: u32,
        seq: u64,
        #[serde(borrow)]
        time: Text<'a>,
        #[serde(borrow)]
        kind: Text<'a>,
    }
    let Members { v, seq, time, kind } = serde_json::from_slice(line).ok()?;
    (v == SCHEMA).then_some(Peek {
        seq,
        time: time.0,
        kind: kind.0,
    })
}

/// Text that is borrowed from the line where it has no escapes; also inside an `Option`, where
/// serde itself would copy it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Words)
    }
}
