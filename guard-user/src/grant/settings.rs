//! What a site says about overrides: the table `[override]` of the configuration.

use serde::{Deserialize, Serialize};

use super::approve::{Rule, default_rules};
use super::signature::KeyRules;

/// Longest life of a request where the site says nothing, minutes.
const MINUTES: u32 = 60;

/// What counts, with what holds where the site says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Table", into = "Table")]
pub struct Settings {
    /// Which keys count.
    pub keys: KeyRules,
    /// Fingerprints of keys that lie sealed for the day on which nobody can be reached: one signature by
    /// such a key is enough for everything, whatever kind of key it is.
    pub emergency_keys: Vec<String>,
    /// Whether whoever asks may sign, too.
    pub requester_may_sign: bool,
    /// Longest life of a request, minutes.
    pub max_minutes: u32,
    /// How many people sign what; the strictest that holds counts.
    pub rules: Vec<Rule>,
}

/// The same as the table has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    software_keys: Vec<String>,
    rsa: bool,
    require_pin: bool,
    applications: Vec<String>,
    emergency_keys: Vec<String>,
    requester_may_sign: bool,
    max_minutes: u32,
    rules: Vec<Rule>,
}

impl Default for Table {
    fn default() -> Self {
        Settings::default().into()
    }
}

impl From<Table> for Settings {
    fn from(table: Table) -> Self {
        Self {
            keys: KeyRules {
                software: table.software_keys,
                rsa: table.rsa,
                require_pin: table.require_pin,
                applications: table.applications,
            },
            emergency_keys: table.emergency_keys,
            requester_may_sign: table.requester_may_sign,
            max_minutes: table.max_minutes,
            rules: table.rules,
        }
    }
}

impl From<Settings> for Table {
    fn from(settings: Settings) -> Self {
        Self {
            software_keys: settings.keys.software,
            rsa: settings.keys.rsa,
            require_pin: settings.keys.require_pin,
            applications: settings.keys.applications,
            emergency_keys: settings.emergency_keys,
            requester_may_sign: settings.requester_may_sign,
            max_minutes: settings.max_minutes,
            rules: settings.rules,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keys: KeyRules::default(),
            emergency_keys: Vec::new(),
            requester_may_sign: false,
            max_minutes: MINUTES,
            rules: default_rules(),
        }
    }
}

impl Settings {
    /// The keys that count: those of the rules, and those for emergencies.
    pub fn key_rules(&self) -> KeyRules {
        let mut keys = self.keys.clone();
        keys.software.extend(self.emergency_keys.iter().cloned());
        keys
    }

    /// Whether a key is one for emergencies.
    pub fn is_for_emergencies(&self, fingerprint: &str) -> bool {
        self.emergency_keys.iter().any(|key| key == fingerprint)
    }

    /// What is easier than before, in words: on an armed host a person has to confirm it.
    pub fn weaker_than(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |is: bool, what: &str| {
            if is {
                found.push(format!("override.{what}"));
            }
        };
        let has_another =
            |now: &[String], then: &[String]| now.iter().any(|one| !then.contains(one));
        let (keys, then) = (&self.keys, &before.keys);
        say(
            has_another(&keys.software, &then.software),
            "software_keys has another",
        );
        say(keys.rsa && !then.rsa, "rsa");
        say(!keys.require_pin && then.require_pin, "require_pin");
        say(
            has_another(&keys.applications, &then.applications),
            "applications has another",
        );
        say(
            has_another(&self.emergency_keys, &before.emergency_keys),
            "emergency_keys has another",
        );
        say(
            self.requester_may_sign && !before.requester_may_sign,
            "requester_may_sign",
        );
        say(self.max_minutes > before.max_minutes, "max_minutes");
        let gone = before.rules.iter().find(|rule| !self.rules.contains(rule));
        say(gone.is_some(), "rules lacks one");
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_makes_it_easier_is_weaker() {
        let before = Settings::default();
        assert_eq!(before.weaker_than(&before), Vec::<String>::new());
        let changes: [fn(&mut Settings); 8] = [
            |settings| settings.keys.software.push("ann".into()),
            |settings| settings.keys.rsa = true,
            |settings| settings.keys.require_pin = false,
            |settings| settings.keys.applications.push("ssh:*".into()),
            |settings| settings.emergency_keys.push("SHA256:x".into()),
            |settings| settings.requester_may_sign = true,
            |settings| settings.max_minutes += 1,
            |settings| drop(settings.rules.pop()),
        ];
        for change in changes {
            let mut now = Settings::default();
            change(&mut now);
            assert_eq!(now.weaker_than(&before).len(), 1, "{now:?}");
            assert_eq!(before.weaker_than(&now), Vec::<String>::new(), "{now:?}");
        }
    }

    #[test]
    fn the_table_says_all_of_it_and_nothing_else() {
        let empty: Settings = toml::from_str("").expect("a table");
        assert_eq!(empty, Settings::default());
        let own = Settings {
            keys: KeyRules {
                software: vec!["ann@example.com".into()],
                rsa: true,
                require_pin: false,
                applications: vec!["ssh:*".into()],
            },
            emergency_keys: vec!["SHA256:x".into()],
            requester_may_sign: true,
            max_minutes: 5,
            rules: Vec::new(),
        };
        let text = toml::to_string(&own).expect("a table");
        assert_eq!(toml::from_str::<Settings>(&text).expect("a table"), own);
        assert!(toml::from_str::<Settings>("software_key = []").is_err());
    }
}
