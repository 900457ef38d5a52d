//! What must not be forgotten over a restart or a reboot: whether the host is held, which devices
//! carried critical data, what was marked.
//!
//! The file is one header line with a checksum over the rest, then JSON. It is replaced atomically
//! and synced before anybody relies on it. A file that is there and does not check is never read
//! as "nothing to remember": the outcome has a name, and the host comes up held.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::topology::Memory;

/// Where the state is kept.
pub const STATE_PATH: &str = "/var/lib/dbguard/state";

/// Where the configuration is kept that was accepted last.
pub const ACCEPTED_PATH: &str = "/var/lib/dbguard/accepted.toml";

const MAGIC: &str = "dbguard-state";
const VERSION: u32 = 1;
/// More than any state has: remembered devices take some hundred bytes each.
const MAX_BYTES: u64 = 64 << 20;

/// What the host is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// No critical process, nothing held.
    #[default]
    Idle,
    /// At least one critical process lives.
    Armed,
    /// The last one ended, its data is still here.
    Held,
}

impl HostState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Armed => "armed",
            Self::Held => "held",
        }
    }
}

/// What was marked by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Marks {
    /// Executables that are database servers.
    pub executables: Vec<PathBuf>,
    /// Directories that hold critical data.
    pub data: Vec<PathBuf>,
    /// Block devices that hold critical data.
    pub devices: Vec<PathBuf>,
}

impl Marks {
    /// True where nothing is marked that would have to be protected without a process.
    pub fn hold_nothing(&self) -> bool {
        self.data.is_empty() && self.devices.is_empty()
    }
}

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// State of the host when this was written.
    pub host: HostState,
    /// Critical data was found (or marked) since the host was idle last. Without it, the end of
    /// the last critical process makes the host idle again.
    pub data_seen: bool,
    /// The state file was lost once: every device that was there then is remembered.
    pub memory_lost: bool,
    /// Devices that carried critical data.
    pub memory: Memory,
    /// What was marked by hand.
    pub marks: Marks,
}

/// What reading the file came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// There is no file.
    Absent,
    /// It is whole.
    Valid(Box<State>),
    /// It is there and cannot be trusted; why.
    Corrupt(String),
    /// It may be there and cannot be read; why.
    Unreadable(String),
}

/// Reads the file.
pub fn load(path: &Path) -> Loaded {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_BYTES => Loaded::Corrupt("far too long".to_owned()),
        Ok(_) => match decode(&bytes) {
            Ok(state) => Loaded::Valid(Box::new(state)),
            Err(why) => Loaded::Corrupt(why),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Loaded::Absent,
        Err(error) => Loaded::Unreadable(error.to_string()),
    }
}

/// Replaces the file. When this returns, the new one is on disk under its name.
pub fn save(path: &Path, state: &State) -> io::Result<()> {
    replace(path, &encode(state)?)
}

/// Replaces a file of the state directory.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path
        .parent()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path without directory"))?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

/// Keeps a file that could not be trusted for a person to look at. Best effort: the next
/// [`save`] replaces it anyway.
pub fn set_aside(path: &Path) -> Option<PathBuf> {
    let aside = path.with_extension("corrupt");
    fs::copy(path, &aside).ok().map(|_| aside)
}

fn encode(state: &State) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(state)?;
    let mut bytes = format!("{MAGIC} {VERSION} {}\n", checksum(&body)).into_bytes();
    bytes.extend_from_slice(&body);
    bytes.push(b'\n');
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<State, String> {
    let end = bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .ok_or("no header line")?;
    let header = std::str::from_utf8(&bytes[..end]).map_err(|_| "no header line")?;
    let words: Vec<&str> = header.split(' ').collect();
    let [MAGIC, version, sum] = words[..] else {
        return Err("not a state file of dbguard".to_owned());
    };
    if version != VERSION.to_string() {
        return Err(format!(
            "version {version}, but this dbguard reads version {VERSION}"
        ));
    }
    let body = bytes[end + 1..].strip_suffix(b"\n").ok_or("cut short")?;
    if checksum(body) != sum {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn checksum(body: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(body) {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::DeviceIdentity;

    fn held() -> State {
        State {
            host: HostState::Held,
            data_seen: true,
            memory_lost: false,
            memory: Memory {
                remembered: vec![DeviceIdentity {
                    wwid: Some("eui.00253".into()),
                    name: "nvme0n1".into(),
                    why: "carries /var/lib/mysql".into(),
                    ..DeviceIdentity::default()
                }],
            },
            marks: Marks {
                executables: vec!["/opt/db".into()],
                ..Marks::default()
            },
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lib/state");
        assert_eq!(load(&path), Loaded::Absent);
        save(&path, &State::default()).expect("saves");
        save(&path, &held()).expect("saves");
        assert_eq!(load(&path), Loaded::Valid(Box::new(held())));
        assert_eq!(
            fs::read_dir(path.parent().expect("a parent"))
                .expect("lists")
                .count(),
            1
        );
    }

    /// Any byte changed to anything near, and any length but the right one, is noticed.
    #[test]
    fn every_byte_matters() {
        let bytes = encode(&held()).expect("encodes");
        for at in 0..bytes.len() {
            for flip in [1, 0x20, 0x80, 0xff] {
                let mut spoilt = bytes.clone();
                spoilt[at] ^= flip;
                assert!(decode(&spoilt).is_err(), "byte {at} ^ {flip:#x}");
            }
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
        let mut longer = bytes.clone();
        longer.push(b'\n');
        assert!(decode(&longer).is_err());
        assert_eq!(decode(&bytes), Ok(held()));
    }

    #[test]
    fn what_cannot_be_read_has_a_name() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(load(dir.path()), Loaded::Unreadable(_)));
        let path = dir.path().join("state");
        fs::write(&path, b"").expect("written");
        assert!(matches!(load(&path), Loaded::Corrupt(_)));
        fs::write(&path, b"dbguard-state 2 00\n{}\n").expect("written");
        let Loaded::Corrupt(why) = load(&path) else {
            panic!("accepted")
        };
        assert!(why.contains("version 2"), "{why}");
        assert_eq!(set_aside(&path), Some(dir.path().join("state.corrupt")));
    }
}
