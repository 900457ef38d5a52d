//! The configuration in force: tables, mode, reading it again.

use std::path::Path;

use guard_abi::Engine;

use super::{Daemon, WARNING, log};
use crate::audit::record::{Body, ConfigRead};
use crate::config::{Config, Modes};
use crate::host::{EngineTable, ToolTable};

impl Daemon {
    /// Tables of servers and tools from the built-in ones, the configuration and the marks.
    pub(super) fn build_tables(&mut self) {
        let mut engines = EngineTable::built_in();
        for name in &self.config.engine_names {
            engines.add_name(name, Engine::Custom);
        }
        for path in self
            .config
            .engine_executables
            .iter()
            .chain(&self.state.marks.executables)
        {
            engines.add_exe(path, Engine::Custom);
        }
        let mut tools = ToolTable::built_in();
        for tool in &self.config.tools_disabled {
            let file = Path::new(tool)
                .file_name()
                .map(|name| name.to_string_lossy());
            if !tools.disable(file.as_deref().unwrap_or(tool)) {
                log(
                    WARNING,
                    &format!("tools.disabled: there is no tool '{tool}'"),
                );
            }
        }
        for tool in &self.config.tools {
            let grants = tool.grants.iter().fold(0, |bits, grant| bits | grant.bit());
            tools.add(&tool.path, grants);
        }
        self.engines = engines;
        self.tools = tools;
    }

    /// Reads the configuration again. One that cannot be used changes nothing.
    pub(super) fn reload(&mut self) {
        match Config::read(Path::new("/")) {
            Ok(config) => {
                let before = std::mem::replace(&mut self.config, config);
                let files: Vec<_> = self
                    .config
                    .files()
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect();
                let detail = files.join(", ");
                self.set_health("config", None);
                self.note(Body::Config(ConfigRead {
                    accepted: true,
                    detail,
                }));
                self.apply_modes(&before.modes());
                self.prove_later();
                self.build_tables();
                self.set_executables();
                if let Err(error) = self.track_running() {
                    self.set_health("processes", Some(error.to_string()));
                }
                self.refresh_processes("the configuration was read again");
            }
            Err(error) => {
                let detail = error.to_string();
                self.set_health(
                    "config",
                    Some(format!("{detail}; the one before stays in force")),
                );
                self.note(Body::Config(ConfigRead {
                    accepted: false,
                    detail,
                }));
            }
        }
    }

    fn apply_modes(&mut self, before: &Modes) {
        let modes = self.config.modes();
        let set = self
            .guard
            .policy()
            .and_then(|policy| self.guard.set_policy(&modes.in_policy(policy)));
        self.set_health("policy", set.err().map(|error| error.to_string()));
        if *before != modes {
            self.record_modes(before, "the configuration was changed");
        }
    }
}
