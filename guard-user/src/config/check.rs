//! What a value must be beside well-formed. A file with another one is not taken.

use std::path::Path;

use guard_abi::Op;

use super::{ConfigError, Override, line_with};
use crate::grant::request::{MAX_SIGNERS, MINUTES};
use crate::host::ROLES;
use crate::state::HostState;

pub(super) fn name(file: &Path, text: &str, name: &str) -> Result<(), ConfigError> {
    if !name.is_empty() && name.len() <= 15 && !name.contains(['/', '\0']) {
        return Ok(());
    }
    Err(ConfigError::Understand {
        file: file.to_owned(),
        line: line_with(text, name),
        key: "key 'engines.names': ".to_owned(),
        what: format!("'{name}' is not the base name of an executable of 1 to 15 bytes"),
        next: "shorten it to what `ps -o comm` shows, or name the path in engines.executables"
            .to_owned(),
    })
}

pub(super) fn overrides(file: &Path, text: &str, table: &Override) -> Result<(), ConfigError> {
    let wrong = |key: &str, value: &str, what: String, next: &str| {
        Err(ConfigError::Understand {
            file: file.to_owned(),
            line: line_with(text, value),
            key: format!("key 'override.{key}': "),
            what,
            next: next.to_owned(),
        })
    };
    if !MINUTES.contains(&table.max_minutes) {
        let (least, most) = MINUTES.into_inner();
        let what = format!("{} is not between {least} and {most}", table.max_minutes);
        return wrong("max_minutes", "max_minutes", what, "correct it");
    }
    for rule in &table.rules {
        if !(1..=MAX_SIGNERS).contains(&rule.signers) {
            let what = format!("{} is not between 1 and {MAX_SIGNERS}", rule.signers);
            return wrong("rules", "signers", what, "correct signers");
        }
        let states = [HostState::Idle, HostState::Armed, HostState::Held];
        let is_op = |word: &&String| Op::parse(word).is_some();
        let is_state = |word: &&String| states.iter().any(|state| state.as_str() == *word);
        let is_role = |word: &&String| ROLES.contains(&word.as_str());
        let unknown = None
            .or_else(|| rule.ops.iter().find(|word| !is_op(word)))
            .or_else(|| rule.states.iter().find(|word| !is_state(word)))
            .or_else(|| rule.roles.iter().find(|word| !is_role(word)));
        if let Some(word) = unknown {
            let what = format!("'{word}' is no operation class, host state or role");
            return wrong(
                "rules",
                word,
                what,
                "a rule with it would never hold: correct it",
            );
        }
    }
    Ok(())
}

pub(super) fn path(file: &Path, text: &str, key: &str, path: &Path) -> Result<(), ConfigError> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(ConfigError::Understand {
        file: file.to_owned(),
        line: line_with(text, &path.to_string_lossy()),
        key: format!("key '{key}': "),
        what: format!("'{}' is not an absolute path", path.display()),
        next: "write the whole path".to_owned(),
    })
}
