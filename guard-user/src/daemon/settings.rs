//! The configuration in force: tables, mode, reading it again.

use std::path::Path;

use guard_abi::{Engine, tool_grant};

use super::start::node_name;
use super::{Daemon, WARNING, log};
use crate::audit::record::{Actor, Body, ConfigRead};
use crate::config::{Config, Modes};
use crate::host::{EngineTable, ToolTable, own_program};
use crate::state::{self, ACCEPTED_PATH, HostState};

/// What keeps a configuration from being accepted without a word from a person.
pub fn why_weaker(config: &Config, before: &Config, state: HostState) -> Option<String> {
    let weaker = config.weaker_than(before);
    (!weaker.is_empty()).then(|| {
        format!(
            "the configuration guards less than before ({}), and the host is {}; to accept it: dbguard config apply --confirm-host {}",
            weaker.join(", "),
            state.as_str(),
            node_name()
        )
    })
}

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
        // Not to be disabled: the next controller could not take over.
        tools.add(own_program(), tool_grant::GUARD);
        self.engines = engines;
        self.tools = tools;
    }

    /// Reads the configuration again. One that cannot be used changes nothing; nor does one that
    /// guards less, while the host is armed or held and nobody has confirmed it. `Err` says why.
    pub(super) fn reload(&mut self, by: Option<Actor>) -> Result<(), String> {
        let read = Config::read(Path::new("/")).map_err(|error| error.to_string());
        let accepted = read.and_then(|config| match self.why_not_accept(&config, by.is_some()) {
            None => Ok(config),
            Some(why) => Err(why),
        });
        match accepted {
            Ok(config) => {
                self.accept(config, by);
                Ok(())
            }
            Err(why) => {
                let detail = format!("{why}; the one before stays in force");
                self.set_health("config", Some(detail.clone()));
                self.note(Body::Config(ConfigRead {
                    accepted: false,
                    detail: why,
                    by,
                }));
                Err(detail)
            }
        }
    }

    fn why_not_accept(&self, config: &Config, confirmed: bool) -> Option<String> {
        if confirmed || self.state.host == HostState::Idle {
            return None;
        }
        why_weaker(config, &self.config, self.state.host)
    }

    fn accept(&mut self, config: Config, by: Option<Actor>) {
        let is_confirmed = by.is_some();
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
            by,
        }));
        self.keep_accepted();
        if is_confirmed {
            self.keep_accepted_signers();
        }
        self.apply_modes(&before.modes());
        self.prove_later();
        self.build_tables();
        self.set_executables();
        if let Err(error) = self.track_running() {
            self.set_health("processes", Some(error.to_string()));
        }
        self.refresh_processes("the configuration was read again");
    }

    /// Remembers what is in force, for a controller that starts on an armed or held host.
    pub(super) fn keep_accepted(&mut self) {
        let path = Path::new(ACCEPTED_PATH);
        let kept = state::replace(path, self.config.to_string().as_bytes());
        let problem = kept.err().map(|error| format!("{ACCEPTED_PATH}: {error}"));
        self.set_health("accepted-config", problem);
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
