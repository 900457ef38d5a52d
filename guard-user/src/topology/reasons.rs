//! Why a device is what it is, for people and for JSON.

use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Stands for the server where a person said that something is critical.
pub const MARKED: &str = "marked";

/// One reason. Ordered by weight: the first of a device's reasons is the one to tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A database's directory lies on it.
    Data {
        /// The directory, as the server sees it.
        path: Arc<str>,
        /// The server's name, or [`MARKED`].
        server: Arc<str>,
        /// Its process, where it runs.
        pid: Option<u32>,
    },
    /// A database uses it without a file system.
    RawData {
        /// The server's name, or [`MARKED`].
        server: Arc<str>,
        /// Its process, where it runs.
        pid: Option<u32>,
    },
    /// It carried critical data once.
    Remembered {
        /// What it carried.
        what: Arc<str>,
        /// Recognised by name and size alone.
        weak: bool,
    },
    /// A file system is mounted from it.
    Mount {
        /// Where.
        point: Arc<str>,
    },
    /// Swap.
    Swap,
    /// A partition that the machine boots from, on a drive of the running system.
    Boot,
    /// Something on this host is in use that does not tell which devices it lies on.
    MayBack {
        /// What.
        what: &'static str,
    },
    /// Held by a driver or program that the guard does not know.
    StrangeHolder,
    /// A physical volume of a group with volumes in use.
    SameGroup {
        /// The group's name.
        group: Arc<str>,
    },
    /// It is the same drive as another by another path.
    SameDrive {
        /// That device.
        name: Arc<str>,
    },
    /// Another device lies on it.
    Below {
        /// That device (`dm-0 (vg0-data)`).
        name: Arc<str>,
    },
    /// It lies over a protected device, so that a write to it lands there.
    LiesOver {
        /// The protected device.
        name: Arc<str>,
    },
    /// A character device whose commands reach a protected drive.
    PassesTo {
        /// The drive.
        name: Arc<str>,
    },
    /// Itself free, but on a drive that carries protected data.
    SharesDrive {
        /// The protected device next to it or below it.
        name: Arc<str>,
    },
}

impl Why {
    /// A stable word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Data { .. } => "data",
            Self::RawData { .. } => "raw-data",
            Self::Remembered { .. } => "remembered",
            Self::Mount { .. } => "mount",
            Self::Swap => "swap",
            Self::Boot => "boot",
            Self::MayBack { .. } => "may-back",
            Self::StrangeHolder => "strange-holder",
            Self::SameGroup { .. } => "same-group",
            Self::SameDrive { .. } => "same-drive",
            Self::Below { .. } => "below",
            Self::LiesOver { .. } => "lies-over",
            Self::PassesTo { .. } => "passes-to",
            Self::SharesDrive { .. } => "shares-drive",
        }
    }
}

fn write_server(f: &mut fmt::Formatter<'_>, server: &str, pid: Option<u32>) -> fmt::Result {
    match pid {
        None if server == MARKED => f.write_str("marked by hand"),
        Some(pid) => write!(f, "{server} {pid}, running"),
        None => f.write_str(server),
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data { path, server, pid } => {
                write!(f, "carries {path} (")?;
                write_server(f, server, *pid)?;
                f.write_str(")")
            }
            Self::RawData { server, pid: None } if **server == *MARKED => {
                f.write_str("marked by hand as critical")
            }
            Self::RawData { server, pid } => {
                f.write_str("used without a file system by ")?;
                write_server(f, server, *pid)
            }
            Self::Remembered { what, weak: false } => write!(f, "remembered: {what}"),
            Self::Remembered { what, weak: true } => {
                write!(f, "remembered, recognised by name and size alone: {what}")
            }
            Self::Mount { point } if &**point == "/" => f.write_str("root file system"),
            Self::Mount { point } => write!(f, "mounted on {point}"),
            Self::Swap => f.write_str("swap"),
            Self::Boot => f.write_str("holds what this machine boots from"),
            Self::MayBack { what } => {
                write!(
                    f,
                    "may be part of {what}, which is in use and does not name its devices"
                )
            }
            Self::StrangeHolder => f.write_str("held by something that dbguard does not know"),
            Self::SameGroup { group } => {
                write!(f, "physical volume of group {group}, which is in use")
            }
            Self::SameDrive { name } => write!(f, "another path to {name}"),
            Self::Below { name } => write!(f, "below {name}"),
            Self::LiesOver { name } => write!(f, "lies over {name}, which is protected"),
            Self::PassesTo { name } => write!(f, "passes commands to {name}"),
            Self::SharesDrive { name } => write!(f, "free, but shares a drive with {name}"),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Why", 2)?;
        out.serialize_field("kind", self.kind())?;
        out.serialize_field("text", &self.to_string())?;
        out.end()
    }
}
