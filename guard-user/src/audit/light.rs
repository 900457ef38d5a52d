//! The part of a record that is filtered and counted by, borrowed from its line: a whole record
//! takes several times as long to read.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::scan::Text;

/// Some members of a record of any kind; those that a kind does not have are absent. Of an override,
/// `event` is the refusal that it was about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "these are the members of a record, see `record`"
)]
pub struct Light<'a> {
    pub seq: u64,
    #[serde(borrow)]
    pub event: Option<Text<'a>>,
    #[serde(borrow)]
    pub time: Text<'a>,
    #[serde(borrow)]
    pub host: Text<'a>,
    #[serde(borrow)]
    pub mode: Text<'a>,
    #[serde(borrow)]
    pub state: Text<'a>,
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub decision: Option<Text<'a>>,
    #[serde(borrow)]
    pub op: Option<Text<'a>>,
    #[serde(borrow)]
    pub object: Option<Object<'a>>,
    #[serde(borrow)]
    pub process: Option<Box<Process<'a>>>,
    #[serde(borrow)]
    pub grant: Option<Grant<'a>>,
    pub count: u64,
    #[serde(borrow)]
    pub by: Option<Box<Process<'a>>>,
    #[serde(borrow)]
    pub incident: Option<Text<'a>>,
    #[serde(borrow)]
    pub requester: Option<Text<'a>>,
    #[serde(borrow)]
    pub signers: Vec<Signer<'a>>,
    #[serde(borrow)]
    pub opens: Vec<Text<'a>>,
    #[serde(borrow)]
    pub device: Option<Text<'a>>,
    #[serde(borrow)]
    pub dev: Option<Text<'a>>,
    #[serde(borrow)]
    pub user: Option<Text<'a>>,
    #[serde(borrow)]
    pub login: Option<Text<'a>>,
    #[serde(borrow)]
    pub unit: Option<Text<'a>>,
    #[serde(borrow)]
    pub container: Option<Text<'a>>,
    #[serde(borrow)]
    pub exe: Option<Text<'a>>,
    #[serde(borrow)]
    pub comm: Option<Text<'a>>,
}

/// A process, or who used a verb.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "these are the members of a process, see `denial`"
)]
pub struct Process<'a> {
    #[serde(borrow)]
    pub comm: Text<'a>,
    #[serde(borrow)]
    pub exe: Text<'a>,
    pub uid: Option<u32>,
    #[serde(borrow)]
    pub user: Option<Text<'a>>,
    pub auid: Option<u32>,
    #[serde(borrow)]
    pub login: Text<'a>,
    #[serde(borrow)]
    pub unit: Option<Text<'a>>,
    #[serde(borrow)]
    pub container: Option<Text<'a>>,
}

/// What a denial was done to, or what an override or a mark is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "these are the members of an object, see `denial`"
)]
pub struct Device<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub dev: Text<'a>,
    #[serde(borrow)]
    pub wwid: Option<Text<'a>>,
    #[serde(borrow)]
    pub serial: Option<Text<'a>>,
}

/// Who signed an override.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Signer<'a> {
    /// The principal.
    #[serde(borrow)]
    pub person: Text<'a>,
}

/// The grant of a denial.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Used<'a> {
    /// `G-19`.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Ticket.
    #[serde(borrow)]
    pub incident: Option<Text<'a>>,
}

/// What is a text in one kind of record and a map in another.
#[derive(Debug)]
pub enum Either<'a, T> {
    /// The text.
    Text(Text<'a>),
    /// The map.
    Map(T),
}

/// `object` of a denial, or of an override or a mark.
pub type Object<'a> = Either<'a, Device<'a>>;
/// `grant` of a denial, or of an override.
pub type Grant<'a> = Either<'a, Used<'a>>;

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Either<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Both<'a, T>(PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Both<'a, T> {
            type Value = Either<'a, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a map")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Either::Text(Text(text.into())))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Text::deserialize(StrDeserializer::new(text)).map(Either::Text)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Either::Map)
            }
        }
        deserializer.deserialize_any(Both(PhantomData))
    }
}

impl<'a> Light<'a> {
    /// Reads a line; `None` for what is no record.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

impl Process<'_> {
    /// The user that it ran as: the name, or the number where it has none.
    pub fn run_as(&self) -> String {
        match (&self.user, self.uid) {
            (Some(user), _) => user.as_str().to_owned(),
            (None, Some(uid)) => uid.to_string(),
            (None, None) => String::new(),
        }
    }

    /// The executable, or the name of the thread where it has none.
    pub fn program(&self) -> &str {
        if self.exe.as_str().is_empty() {
            self.comm.as_str()
        } else {
            self.exe.as_str()
        }
    }
}
