//! The configuration as TOML text.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use guard_abi::{Handling, Op};

use super::{Config, ExtraTool};
use crate::grant::settings::Settings;

/// The whole as one TOML file.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "mode = {}", quote(self.mode.as_str()))?;
        writeln!(f, "raw_devices = {}", path_list(&self.raw_devices))?;
        writeln!(
            f,
            "data_directories = {}",
            path_list(&self.data_directories)
        )?;
        writeln!(f, "mappings = {}", quote(self.mappings.as_str()))?;
        writeln!(f, "self_test_minutes = {}", self.self_test_minutes)?;
        writeln!(f, "\n[ops]")?;
        let modes = self.modes();
        for op in Op::ALL.iter().copied() {
            // What follows from the mode is told too, so that nobody has to work it out.
            let (mark, handling) = match self.ops.get(&op) {
                Some(set) => ("", *set),
                None => ("# ", modes.handling(op)),
            };
            writeln!(f, "{mark}{} = {}", op.as_str(), quote(handling.as_str()))?;
        }
        writeln!(f, "\n[engines]\nnames = {}", list(&self.engine_names))?;
        writeln!(f, "executables = {}", path_list(&self.engine_executables))?;
        writeln!(f, "\n[tools]\ndisabled = {}", list(&self.tools_disabled))?;
        writeln!(f, "extra = {}", tool_list(&self.tools))?;
        let overrides = override_list(&self.overrides);
        writeln!(f, "\n[override]\n{}", overrides.join("\n"))
    }
}

pub(super) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What is said about overrides, one key a line.
pub(super) fn override_list(overrides: &Settings) -> Vec<String> {
    // A value made of strings, numbers and lists of them is a table.
    let Ok(toml::Value::Table(table)) = toml::Value::try_from(overrides) else {
        return Vec::new();
    };
    let keys = table.iter();
    keys.map(|(key, value)| format!("{key} = {value}"))
        .collect()
}

pub(super) fn ops_list(ops: &BTreeMap<Op, Handling>) -> String {
    let pairs: Vec<_> = ops
        .iter()
        .map(|(op, handling)| format!("{} = {}", op.as_str(), quote(handling.as_str())))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

pub(super) fn list<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| quote(word.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

pub(super) fn path_list(paths: &[PathBuf]) -> String {
    list(
        &paths
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect::<Vec<_>>(),
    )
}

pub(super) fn tool_list(tools: &[ExtraTool]) -> String {
    let tools: Vec<_> = tools
        .iter()
        .map(|tool| {
            let grants: Vec<_> = tool.grants.iter().map(|grant| grant.as_str()).collect();
            format!(
                "{{ path = {}, grants = {} }}",
                quote(&tool.path.to_string_lossy()),
                list(&grants)
            )
        })
        .collect();
    format!("[{}]", tools.join(", "))
}
