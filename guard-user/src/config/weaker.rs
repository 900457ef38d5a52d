//! What one configuration guards less than another: on a host that is armed or held that is a
//! matter for a person, not for whatever writes files.

use std::fmt::Display;

use guard_abi::{Handling, Mode, Op};

use super::{Config, Mappings};

impl Config {
    /// What `self` guards less than `before`, in words; nothing where it is at least as strict.
    pub fn weaker_than(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if before.mode == Mode::Enforce && self.mode == Mode::Observe {
            found.push("mode enforce -> observe".to_owned());
        }
        self.weaker_classes(before, &mut found);
        if before.mappings == Mappings::Stop && self.mappings == Mappings::Report {
            found.push("mappings stop -> report".to_owned());
        }
        gone(
            &mut found,
            "engines.names",
            &before.engine_names,
            &self.engine_names,
            Clone::clone,
        );
        let path = |path: &std::path::PathBuf| path.display().to_string();
        gone(
            &mut found,
            "engines.executables",
            &before.engine_executables,
            &self.engine_executables,
            path,
        );
        gone(
            &mut found,
            "raw_devices",
            &before.raw_devices,
            &self.raw_devices,
            path,
        );
        gone(
            &mut found,
            "data_directories",
            &before.data_directories,
            &self.data_directories,
            path,
        );
        // A tool that is trusted again, and one that is new.
        gone(
            &mut found,
            "tools.disabled",
            &before.tools_disabled,
            &self.tools_disabled,
            Clone::clone,
        );
        for tool in &self.tools {
            if !before.tools.contains(tool) {
                found.push(format!("tools.extra has {}", tool.path.display()));
            }
        }
        found.extend(self.overrides.weaker_than(&before.overrides));
        found
    }

    /// Classes that are let through, or no longer told of as refusals, where they were before. What
    /// the mode alone says about a class is said by the mode.
    fn weaker_classes(&self, before: &Self, found: &mut Vec<String>) {
        let mode_says_it = !found.is_empty();
        let (was, is) = (before.modes(), self.modes());
        for &op in Op::ALL {
            let (was, is) = (was.handling(op), is.handling(op));
            let by_the_mode = mode_says_it && !self.ops.contains_key(&op);
            if strictness(is) < strictness(was) && !by_the_mode {
                let (was, is) = (was.as_str(), is.as_str());
                found.push(format!("ops.{} {was} -> {is}", op.as_str()));
            }
        }
    }
}

const fn strictness(handling: Handling) -> u8 {
    match handling {
        Handling::Allow => 0,
        Handling::Observe => 1,
        Handling::Refuse => 2,
    }
}

fn gone<T: PartialEq, D: Display>(
    found: &mut Vec<String>,
    key: &str,
    before: &[T],
    after: &[T],
    name: impl Fn(&T) -> D,
) {
    let missing = before.iter().filter(|one| !after.contains(one));
    found.extend(missing.map(|one| format!("{key} lacks {}", name(one))));
}

#[cfg(test)]
mod tests {
    use super::super::{ExtraTool, Grant};
    use super::*;

    fn full() -> Config {
        Config {
            engine_names: vec!["mongod".into()],
            engine_executables: vec!["/opt/db".into()],
            tools_disabled: vec!["smartctl".into()],
            raw_devices: vec!["/dev/x".into()],
            data_directories: vec!["/srv".into()],
            ..Config::default()
        }
    }

    #[test]
    fn only_what_guards_less_is_weaker() {
        let none = Config::default();
        assert!(none.weaker_than(&none).is_empty());
        assert!(full().weaker_than(&none).is_empty(), "more is not weaker");
        assert_eq!(none.weaker_than(&full()).len(), 5);
        let observe = Config {
            mode: Mode::Observe,
            ..Config::default()
        };
        assert_eq!(observe.weaker_than(&none), ["mode enforce -> observe"]);
        assert!(none.weaker_than(&observe).is_empty());
        let with = |mode, op, handling| Config {
            mode,
            ops: [(op, handling)].into(),
            ..Config::default()
        };
        let (kexec, reset) = (Op::Kexec, Op::Reset);
        let loose = with(Mode::Enforce, kexec, Handling::Allow);
        assert_eq!(loose.weaker_than(&none), ["ops.kexec refuse -> allow"]);
        assert!(none.weaker_than(&loose).is_empty());
        let seen = with(Mode::Enforce, kexec, Handling::Observe);
        assert_eq!(seen.weaker_than(&none), ["ops.kexec refuse -> observe"]);
        assert_eq!(loose.weaker_than(&seen), ["ops.kexec observe -> allow"]);
        let strict = with(Mode::Observe, reset, Handling::Refuse);
        assert_eq!(strict.weaker_than(&none), ["mode enforce -> observe"]);
        assert_eq!(
            observe.weaker_than(&strict),
            ["ops.reset refuse -> observe"]
        );
        let told = Config {
            mappings: Mappings::Report,
            ..Config::default()
        };
        assert_eq!(told.weaker_than(&none), ["mappings stop -> report"]);
        let trusting = Config {
            tools: vec![ExtraTool {
                path: "/opt/cli".into(),
                grants: vec![Grant::Lvm],
            }],
            ..Config::default()
        };
        assert_eq!(trusting.weaker_than(&none), ["tools.extra has /opt/cli"]);
        assert!(trusting.weaker_than(&trusting).is_empty());
    }
}
