//! What a site says about overrides: the table `[override]` of the configuration.

use serde::Deserialize;

use super::approve::{Rule, default_rules};

/// Longest life of a request where the site says nothing, minutes.
const MINUTES: u32 = 60;

/// The table, with what holds where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Persons and fingerprints that may sign with a key that is not in hardware.
    pub software_keys: Vec<String>,
    /// Whether RSA keys count.
    pub rsa: bool,
    /// Whether a hardware key must have asked for its PIN.
    pub require_pin: bool,
    /// Applications of hardware keys that count, as patterns.
    pub applications: Vec<String>,
    /// Whether whoever asks may sign, too.
    pub requester_may_sign: bool,
    /// Longest life of a request, minutes.
    pub max_minutes: u32,
    /// How many people sign what; the strictest that holds counts.
    pub rules: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            software_keys: Vec::new(),
            rsa: false,
            require_pin: true,
            applications: vec!["ssh:".to_owned()],
            requester_may_sign: false,
            max_minutes: MINUTES,
            rules: default_rules(),
        }
    }
}

impl Settings {
    /// What is easier than before, in words: on an armed host a person has to confirm it.
    pub fn weaker_than(&self, before: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |is: bool, what: &str| {
            if is {
                found.push(format!("override.{what}"));
            }
        };
        let new = self
            .software_keys
            .iter()
            .find(|key| !before.software_keys.contains(key));
        say(new.is_some(), "software_keys has another");
        say(self.rsa && !before.rsa, "rsa");
        say(!self.require_pin && before.require_pin, "require_pin");
        let new = self
            .applications
            .iter()
            .find(|one| !before.applications.contains(one));
        say(new.is_some(), "applications has another");
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
        let changes: [fn(&mut Settings); 7] = [
            |settings| settings.software_keys.push("ann".into()),
            |settings| settings.rsa = true,
            |settings| settings.require_pin = false,
            |settings| settings.applications.push("ssh:*".into()),
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
}
