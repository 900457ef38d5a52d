//! Whether a signed request opens anything: the request against this host, the signers against the
//! rules. Pure: the clock, the ledger and the devices are told, not asked.

use guard_abi::Op;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::person;
use super::request::{self, Device, Object, ParseError, Request};

/// Why nothing is opened. Each says what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// It is no request, or was changed on its way.
    #[error("{0}. Send the file as it was made, for example with scp, or make a new request")]
    Text(#[from] ParseError),
    /// It is about another host.
    #[error("signed for {signed}, this is {here}: nothing was opened here")]
    OtherHost {
        /// The host in the request.
        signed: String,
        /// This one.
        here: String,
    },
    /// The name is right, the machine is not.
    #[error(
        "signed for another machine of the name {0} (its machine-id differs): make a request on this one"
    )]
    OtherMachine(String),
    /// The host has been restarted since.
    #[error("signed for an earlier boot of {0}: a restart closes every request, make a new one")]
    OtherBoot(String),
    /// This host made no such request.
    #[error(
        "{0} has made no such request (or has forgotten it): make a new one here, with 'dbguard override request'"
    )]
    NotIssued(String),
    /// The text is not the one that was issued.
    #[error("this is not the text that {0} issued under this nonce: something in it was changed")]
    Altered(String),
    /// It was used already.
    #[error("this request was used already ({0}): each opens once, make a new one")]
    Spent(String),
    /// Its time is over.
    #[error("this request ended {0} minutes ago: make a new one")]
    Expired(u64),
    /// The rules have changed since.
    #[error(
        "the rules or signers of this host have changed since the request was made: make a new one"
    )]
    OtherPolicy,
    /// The device is gone.
    #[error("{0} is not there any more: make a request for the device that is")]
    DeviceGone(String),
    /// Another device has its name.
    #[error("{name} is another device now ({what}): make a request for the device that is there")]
    OtherDevice {
        /// Its name.
        name: String,
        /// What differs.
        what: String,
    },
    /// Not enough people.
    #[error(
        "{have} of {need} signatures: {need} different people sign this one (the rules of this host)"
    )]
    TooFew {
        /// People that count.
        have: u32,
        /// People that it takes.
        need: u32,
    },
    /// Two signatures by one person.
    #[error("{0} has signed twice: two different people are needed, not two keys of one")]
    SamePerson(String),
    /// One key under two names.
    #[error("two signatures were made with one key ({0}): two different people are needed")]
    SameKey(String),
    /// Who asks signs.
    #[error("{0} has asked for this and cannot sign it: another person has to")]
    Requester(String),
}

impl Refused {
    /// A word for the log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::OtherHost { .. } => "other-host",
            Self::OtherMachine(_) => "other-machine",
            Self::OtherBoot(_) => "other-boot",
            Self::NotIssued(_) => "not-issued",
            Self::Altered(_) => "altered",
            Self::Spent(_) => "spent",
            Self::Expired(_) => "expired",
            Self::OtherPolicy => "other-policy",
            Self::DeviceGone(_) => "device-gone",
            Self::OtherDevice { .. } => "other-device",
            Self::TooFew { .. } => "too-few",
            Self::SamePerson(_) => "same-person",
            Self::SameKey(_) => "same-key",
            Self::Requester(_) => "requester",
        }
    }
}

/// What the ledger knows of a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issued {
    /// Nothing.
    Never,
    /// It was issued for the text with this digest, and not used.
    Open(String),
    /// It was used; how.
    Spent(String),
}

/// This host, now.
#[derive(Clone, Debug)]
pub struct Host {
    /// Node name.
    pub name: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// This boot.
    pub boot_id: String,
    /// CLOCK_BOOTTIME, ns.
    pub now_boot_ns: u64,
    /// Digest of the rules and signers in force.
    pub policy: String,
}

/// Whether the text is a request that this host has made, and that is still open. `issued` is asked for
/// its nonce, `device` for the device that has a name now.
pub fn recognise(
    text: &[u8],
    host: &Host,
    issued: impl FnOnce(&[u8; request::NONCE_BYTES]) -> Issued,
    device: impl FnOnce(&str) -> Option<Device>,
) -> Result<Request, Refused> {
    let request = Request::parse(text)?;
    if request.host != request::plain(&host.name) {
        return Err(Refused::OtherHost {
            signed: request.host,
            here: host.name.clone(),
        });
    }
    if request.machine_id != host.machine_id {
        return Err(Refused::OtherMachine(host.name.clone()));
    }
    if request.boot_id != host.boot_id {
        return Err(Refused::OtherBoot(host.name.clone()));
    }
    match issued(&request.nonce) {
        Issued::Never => return Err(Refused::NotIssued(host.name.clone())),
        Issued::Spent(how) => return Err(Refused::Spent(how)),
        Issued::Open(digest) if digest != request::digest(text) => {
            return Err(Refused::Altered(host.name.clone()));
        }
        Issued::Open(_) => {}
    }
    let expires = request.expires_boot_ns();
    if host.now_boot_ns >= expires {
        let ago = (host.now_boot_ns - expires) / 60_000_000_000;
        return Err(Refused::Expired(ago));
    }
    if request.policy != host.policy {
        return Err(Refused::OtherPolicy);
    }
    if let Object::Device(wanted) = &request.object {
        let now = device(&wanted.name).ok_or_else(|| Refused::DeviceGone(wanted.name.clone()))?;
        same_device(wanted, &now)?;
    }
    Ok(request)
}

fn same_device(wanted: &Device, now: &Device) -> Result<(), Refused> {
    let differs = [
        ("world-wide id", wanted.wwid != now.wwid),
        ("serial number", wanted.serial != now.serial),
        ("disk sequence number", wanted.diskseq != now.diskseq),
        ("size", wanted.bytes != now.bytes),
        ("device number", wanted.dev != now.dev),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(Refused::OtherDevice {
            name: wanted.name.clone(),
            what: format!("its {what} differs"),
        }),
    }
}

/// Who signed, as far as the rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signer<'a> {
    /// The principal.
    pub person: &'a str,
    /// Fingerprint of the key.
    pub key: &'a str,
    /// A key that lies sealed for emergencies: its signature alone is enough.
    pub is_for_emergencies: bool,
}

/// Whether these people may open this together. `requester` is the login name of who asks, where it is
/// known and must not sign.
pub fn approve(
    request: &Request,
    signers: &[Signer<'_>],
    requester: Option<&str>,
) -> Result<(), Refused> {
    for (at, signer) in signers.iter().enumerate() {
        if requester.is_some_and(|login| person::has_login(signer.person, login)) {
            return Err(Refused::Requester(signer.person.to_owned()));
        }
        for other in &signers[..at] {
            if person::is_same(other.person, signer.person) {
                return Err(Refused::SamePerson(signer.person.to_owned()));
            }
            if other.key == signer.key {
                return Err(Refused::SameKey(signer.key.to_owned()));
            }
        }
    }
    if signers.iter().any(|signer| signer.is_for_emergencies) {
        return Ok(());
    }
    let have = u32::try_from(signers.len()).unwrap_or(u32::MAX);
    if have < request.signers {
        return Err(Refused::TooFew {
            have,
            need: request.signers,
        });
    }
    Ok(())
}

/// What lies on the object of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// Nothing of importance, or what was merely in use.
    None,
    /// The running system.
    System,
    /// A database's, which does not run.
    Critical,
    /// A running database's.
    Running,
}

/// One rule: where everything that it names holds, so many people sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Operation classes; any where there is none.
    #[serde(default)]
    pub ops: Vec<String>,
    /// Host states.
    #[serde(default)]
    pub states: Vec<String>,
    /// What lies on the object.
    #[serde(default)]
    pub data: Vec<Data>,
    /// Roles in replication.
    #[serde(default)]
    pub roles: Vec<String>,
    /// People who sign.
    pub signers: u32,
}

/// What the rules ask about.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What is to be done.
    pub ops: &'a [Op],
    /// Host state.
    pub state: &'a str,
    /// What lies on the object.
    pub data: Data,
    /// Role of the database.
    pub role: &'a str,
}

impl Rule {
    fn holds(&self, situation: Situation<'_>) -> bool {
        let among =
            |words: &[String], word: &str| words.is_empty() || words.iter().any(|w| w == word);
        let of_ops = |op: &Op| among(&self.ops, op.as_str());
        situation.ops.iter().any(of_ops)
            && among(&self.states, situation.state)
            && among(&self.roles, situation.role)
            && (self.data.is_empty() || self.data.contains(&situation.data))
    }
}

/// The rules of a host that has none of its own: two people where a database runs on what is to be
/// opened, or where it has replicas that follow it.
pub fn default_rules() -> Vec<Rule> {
    let rule = |data: &[Data], roles: &[&str]| Rule {
        ops: Vec::new(),
        states: Vec::new(),
        data: data.to_vec(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        signers: 2,
    };
    vec![rule(&[Data::Running], &[]), rule(&[], &["primary"])]
}

/// How many people sign: what the strictest rule says that holds, at least one.
pub fn signers_needed(rules: &[Rule], situation: Situation<'_>) -> u32 {
    let holding = rules.iter().filter(|rule| rule.holds(situation));
    holding.map(|rule| rule.signers).max().unwrap_or(1).max(1)
}

#[cfg(test)]
#[path = "approve_tests.rs"]
mod tests;
