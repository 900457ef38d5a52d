//! `dbguard.toml` and its drop-ins.
//!
//! Files are read in this order, later ones over earlier ones; lists add up:
//! `/usr/lib/dbguard/dbguard.toml`, `/etc/dbguard/dbguard.toml`, `/etc/dbguard/conf.d/*.toml` in
//! the order of their names. A file that does not exist is skipped; one that cannot be read or
//! understood is an error, because a guard that silently ignores half its orders is none.

mod check;
mod file;
mod modes;
mod show;
mod weaker;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use guard_abi::{Handling, Mode, Op};
use serde::Deserialize;
use thiserror::Error;

use crate::grant::settings::Settings as Override;
use file::{File, ModeWord};
pub use modes::{Modes, describe};
use show::{list, ops_list, path_list, quote, tool_list};

/// What the files say, put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Record alone, or refuse.
    pub mode: Mode,
    /// Operation classes with a handling of their own, whatever the mode.
    pub ops: BTreeMap<Op, Handling>,
    /// Base names of further database servers, at most 15 bytes each.
    pub engine_names: Vec<String>,
    /// Paths of further database servers' executables.
    pub engine_executables: Vec<PathBuf>,
    /// Paths of executables that are trusted with a grant, beside the built-in ones.
    pub tools: Vec<ExtraTool>,
    /// Built-in tools (by path or base name) that are not to be trusted.
    pub tools_disabled: Vec<String>,
    /// Block devices that a database uses without a file system.
    pub raw_devices: Vec<PathBuf>,
    /// Data directories to protect whether or not a server runs.
    pub data_directories: Vec<PathBuf>,
    /// What is done about a process that has a protected device mapped for writing from before.
    pub mappings: Mappings,
    /// Minutes between two attacks on the canary when nothing else wakes the controller; 0 for none.
    pub self_test_minutes: u32,
    /// Who may break the glass, and how; the last file that says something about it says all of it.
    pub overrides: Override,
    /// Where each setting came from, in the order it was read.
    pub origins: Vec<Origin>,
}

/// Enforcing, nothing added: what holds where no file says otherwise.
impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            ops: BTreeMap::new(),
            engine_names: Vec::new(),
            engine_executables: Vec::new(),
            tools: Vec::new(),
            tools_disabled: Vec::new(),
            raw_devices: Vec::new(),
            data_directories: Vec::new(),
            mappings: Mappings::Stop,
            self_test_minutes: 10,
            overrides: Override::default(),
            origins: Vec::new(),
        }
    }
}

/// An executable that is trusted with a grant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraTool {
    /// The executable.
    pub path: PathBuf,
    /// What it may do.
    pub grants: Vec<Grant>,
}

/// What a tool may be trusted with; see [`guard_abi::tool_grant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// Writing physical volumes in use.
    Lvm,
    /// Growing a mounted ext file system.
    ExtOnline,
    /// Writing members of MD arrays.
    MdMember,
    /// Opening a drive for writing in order to send it read-only commands.
    DriveQuery,
    /// Writing device-mapper nodes that it has just made.
    NewDm,
    /// Making MD arrays.
    NewMd,
    /// Opening a LUKS device in order to unlock it.
    Unlock,
    /// Repairing a file system that is not mounted as the boot-time check does.
    Preen,
    /// Turning on a swap area.
    SwapOn,
    /// Installing packages: changing what the machine boots from, and whatever it executes too.
    Packages,
    /// Making boot files (initial RAM disks, boot loader configuration).
    BootFiles,
    /// Changing what the machine boots into next.
    BootState,
    /// Having the kernel open any device for what it puts together.
    Stack,
}

impl Grant {
    /// Its bits of [`guard_abi::tool_grant`].
    pub const fn bit(self) -> u32 {
        use guard_abi::tool_grant;
        match self {
            Self::Lvm => tool_grant::LVM,
            Self::ExtOnline => tool_grant::EXT_ONLINE,
            Self::MdMember => tool_grant::MD_MEMBER,
            Self::DriveQuery => tool_grant::DRIVE_QUERY,
            Self::NewDm => tool_grant::NEW_DM,
            Self::NewMd => tool_grant::NEW_MD | tool_grant::MD_KEEP,
            Self::Unlock => tool_grant::UNLOCK,
            Self::Preen => tool_grant::PREEN,
            Self::SwapOn => tool_grant::SWAP_ON,
            Self::Packages => {
                tool_grant::PACKAGES | tool_grant::BOOT_FILES | tool_grant::BOOT_STATE
            }
            Self::BootFiles => tool_grant::BOOT_FILES,
            Self::BootState => tool_grant::BOOT_STATE,
            Self::Stack => tool_grant::STACK,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Lvm => "lvm",
            Self::ExtOnline => "ext-online",
            Self::MdMember => "md-member",
            Self::DriveQuery => "drive-query",
            Self::NewDm => "new-dm",
            Self::NewMd => "new-md",
            Self::Unlock => "unlock",
            Self::Preen => "preen",
            Self::SwapOn => "swap-on",
            Self::Stack => "stack",
            Self::Packages => "packages",
            Self::BootFiles => "boot-files",
            Self::BootState => "boot-state",
        }
    }
}

/// What is done about a process that has a protected device mapped for writing from before: its
/// stores cannot be refused one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mappings {
    /// It is stopped (SIGSTOP).
    Stop,
    /// It is reported.
    Report,
}

impl Mappings {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Report => "report",
        }
    }
}

/// One setting and the file it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The key, `engines.names`.
    pub key: &'static str,
    /// Its value, as TOML.
    pub value: String,
    /// The file.
    pub file: PathBuf,
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("{}: cannot be read: {source}; mend its permissions or remove it, then run: dbguard config check", .file.display())]
    Read {
        /// The file or directory.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be understood.
    #[error("{}:{line}: {key}{what}; {next}, then run: dbguard config check", .file.display())]
    Understand {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// `key 'mode': `, or empty where no key can be told.
        key: String,
        /// What is wrong.
        what: String,
        /// What to do.
        next: String,
    },
}

impl Config {
    /// What becomes of each operation class.
    pub fn modes(&self) -> Modes {
        Modes::new(self.mode, &self.ops)
    }

    /// Reads the files below `root` (`/` on a host).
    pub fn read(root: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for file in files(root)? {
            match fs::read_to_string(&file) {
                Ok(text) => config.add(&file, &text)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ConfigError::Read { file, source }),
            }
        }
        Ok(config)
    }

    /// Reads one file that holds the whole, as [`fmt::Display`](std::fmt::Display) writes it.
    pub fn read_whole(file: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let text = fs::read_to_string(file).map_err(|source| ConfigError::Read {
            file: file.to_owned(),
            source,
        })?;
        config.add(file, &text)?;
        Ok(config)
    }

    /// The files that were read, each once.
    pub fn files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = Vec::new();
        for origin in &self.origins {
            if !files.contains(&origin.file.as_path()) {
                files.push(&origin.file);
            }
        }
        files
    }

    fn add(&mut self, file: &Path, text: &str) -> Result<(), ConfigError> {
        let parsed: File =
            toml::from_str(text).map_err(|error| not_understood(file, text, &error))?;
        let File {
            mode,
            ops,
            engines,
            tools,
            raw_devices,
            data_directories,
            mappings,
            self_test_minutes,
            overrides,
        } = parsed;
        if let Some(mode) = mode {
            self.mode = match mode {
                ModeWord::Observe => Mode::Observe,
                ModeWord::Enforce => Mode::Enforce,
            };
            self.came_from(file, "mode", quote(self.mode.as_str()));
        }
        if let Some(ops) = ops {
            let ops = ops
                .into_iter()
                .map(|(op, handling)| (op.0, handling.0))
                .collect();
            self.came_from(file, "ops", ops_list(&ops));
            self.ops.extend(ops);
        }
        if let Some(names) = engines.names {
            for name in &names {
                check::name(file, text, name)?;
            }
            self.came_from(file, "engines.names", list(&names));
            self.engine_names.extend(names);
        }
        let absolute = |key: &'static str, paths: &[PathBuf]| {
            paths
                .iter()
                .try_for_each(|path| check::path(file, text, key, path))
        };
        if let Some(paths) = engines.executables {
            absolute("engines.executables", &paths)?;
            self.came_from(file, "engines.executables", path_list(&paths));
            self.engine_executables.extend(paths);
        }
        if let Some(names) = tools.disabled {
            self.came_from(file, "tools.disabled", list(&names));
            self.tools_disabled.extend(names);
        }
        if let Some(extra) = tools.extra {
            for tool in &extra {
                check::path(file, text, "tools.extra.path", &tool.path)?;
            }
            self.came_from(file, "tools.extra", tool_list(&extra));
            self.tools.extend(extra);
        }
        if let Some(paths) = raw_devices {
            absolute("raw_devices", &paths)?;
            self.came_from(file, "raw_devices", path_list(&paths));
            self.raw_devices.extend(paths);
        }
        if let Some(paths) = data_directories {
            absolute("data_directories", &paths)?;
            self.came_from(file, "data_directories", path_list(&paths));
            self.data_directories.extend(paths);
        }
        if let Some(mappings) = mappings {
            self.mappings = mappings;
            self.came_from(file, "mappings", quote(mappings.as_str()));
        }
        if let Some(minutes) = self_test_minutes {
            self.came_from(file, "self_test_minutes", minutes.to_string());
            self.self_test_minutes = minutes;
        }
        if let Some(overrides) = overrides {
            check::overrides(file, text, &overrides)?;
            self.came_from(file, "override", show::override_list(&overrides).join(", "));
            self.overrides = overrides;
        }
        Ok(())
    }

    fn came_from(&mut self, file: &Path, key: &'static str, value: String) {
        self.origins.push(Origin {
            key,
            value,
            file: file.to_owned(),
        });
    }
}

fn files(root: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = vec![
        root.join("usr/lib/dbguard/dbguard.toml"),
        root.join("etc/dbguard/dbguard.toml"),
    ];
    let directory = root.join("etc/dbguard/conf.d");
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(source) => {
            return Err(ConfigError::Read {
                file: directory,
                source,
            });
        }
    };
    let mut drop_ins = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|source| ConfigError::Read {
                file: directory.clone(),
                source,
            })?
            .path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "toml")
        {
            drop_ins.push(path);
        }
    }
    drop_ins.sort();
    files.append(&mut drop_ins);
    Ok(files)
}

fn not_understood(file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let key = key_at(text, start).map_or_else(String::new, |key| format!("key '{key}': "));
    ConfigError::Understand {
        file: file.to_owned(),
        line: line_of(text, start),
        key,
        what: error.message().replace('\n', ", "),
        next: "correct or remove it".to_owned(),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes()
        .take(at)
        .fold(1, |line, byte| line + usize::from(byte == b'\n'))
}

/// The key of the line that `at` lies in.
fn key_at(text: &str, at: usize) -> Option<&str> {
    let start = text.as_bytes()[..at]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |nl| nl + 1);
    let line = text.get(start..)?.lines().next()?;
    let key = line
        .split(['=', '#'])
        .next()?
        .trim()
        .trim_matches(['[', ']']);
    (!key.is_empty()).then_some(key)
}

/// Line of a value that the TOML parser accepted and we do not.
fn line_with(text: &str, value: &str) -> usize {
    text.find(value).map_or(1, |at| line_of(text, at))
}

#[cfg(test)]
mod tests;
