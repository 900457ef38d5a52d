//! One file as TOML has it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use guard_abi::{Handling, Op};
use serde::Deserialize;
use serde::de::Deserializer;

use super::{ExtraTool, Mappings};
use crate::grant::settings::Settings as Override;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) mode: Option<ModeWord>,
    pub(super) ops: Option<BTreeMap<OpWord, HandlingWord>>,
    #[serde(default)]
    pub(super) engines: Engines,
    #[serde(default)]
    pub(super) tools: Tools,
    pub(super) raw_devices: Option<Vec<PathBuf>>,
    pub(super) data_directories: Option<Vec<PathBuf>>,
    pub(super) mappings: Option<Mappings>,
    pub(super) self_test_minutes: Option<u32>,
    #[serde(rename = "override")]
    pub(super) overrides: Option<Override>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Engines {
    pub(super) names: Option<Vec<String>>,
    pub(super) executables: Option<Vec<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tools {
    pub(super) disabled: Option<Vec<String>>,
    pub(super) extra: Option<Vec<ExtraTool>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ModeWord {
    Observe,
    Enforce,
}

/// A class by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpWord(pub(super) Op);

impl<'de> Deserialize<'de> for OpWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let words = || Op::ALL.iter().map(|op| op.as_str());
        Op::parse(&word)
            .map(Self)
            .ok_or_else(|| unknown_word(&word, words()))
    }
}

/// A handling by its word.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandlingWord(pub(super) Handling);

impl<'de> Deserialize<'de> for HandlingWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let words = || Handling::ALL.iter().map(|handling| handling.as_str());
        Handling::parse(&word)
            .map(Self)
            .ok_or_else(|| unknown_word(&word, words()))
    }
}

/// As serde words it for an enum.
fn unknown_word<E: serde::de::Error>(word: &str, known: impl Iterator<Item = &'static str>) -> E {
    let known: Vec<String> = known.map(|word| format!("`{word}`")).collect();
    E::custom(format!(
        "unknown variant `{word}`, expected one of {}",
        known.join(", ")
    ))
}
