//! Who may sign on this host. On a host that has something to lose, others than those who were
//! accepted count only once a person has accepted them: files in `/etc` are written by automation.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{CONFIG, Daemon, Refusal, TRY_AGAIN};
use crate::daemon::start::node_name;
use crate::grant::request::hex;
use crate::grant::{ALLOWED_SIGNERS, Signers};
use crate::state::{self, HostState};

/// Digest of the signers that were accepted last.
const ACCEPTED: &str = "/var/lib/dbguard/accepted-signers";
/// Letters of a policy's digest: enough to tell two apart, few enough to be compared.
const DIGEST: usize = 32;

/// A file or directory that others than root may write.
fn is_loose(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let (owner, mode) = (metadata.uid(), metadata.mode());
    (owner != 0 || mode & 0o022 != 0).then(|| {
        format!(
            "{}: others than root can write it; run: chown root {0} && chmod go-w {0}",
            path.display()
        )
    })
}

fn loose_files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    std::iter::once(directory.to_owned())
        .chain(entries.map(|entry| entry.path()))
        .filter_map(|path| is_loose(&path))
        .collect()
}

impl Daemon {
    /// Those who may sign, and the digest of the rules with them.
    pub(super) fn signers(&mut self) -> Result<(Signers, String), Refusal> {
        let signers = Self::read_signers()?;
        let digest = hex(&signers.digest());
        match fs::read_to_string(ACCEPTED) {
            Ok(accepted) if accepted.trim() == digest => {}
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Refusal::new(
                    CONFIG,
                    "signers",
                    format!("{ACCEPTED}: {error}; mend or remove it"),
                ));
            }
            _ if self.state.host == HostState::Idle => self.keep_accepted_signers(),
            _ => {
                return Err(Refusal::new(
                    TRY_AGAIN,
                    "signers-changed",
                    format!(
                        "{ALLOWED_SIGNERS} allows others than were accepted, and the host is {}; look at it, and to accept it: dbguard config apply --confirm-host {}",
                        self.state.host.as_str(),
                        node_name()
                    ),
                ));
            }
        }
        let rules = toml::to_string(&self.config.overrides).unwrap_or_default();
        let mut policy = hex(&Sha256::digest(format!("{digest}\n{rules}")));
        policy.truncate(DIGEST);
        Ok((signers, format!("sha256:{policy}")))
    }

    fn read_signers() -> Result<Signers, Refusal> {
        let directory = Path::new(ALLOWED_SIGNERS);
        let nobody = || {
            Refusal::new(
                CONFIG,
                "no-signers",
                format!(
                    "nobody may sign on this host; put a line 'PRINCIPAL KEY' for each person into {ALLOWED_SIGNERS}/ (ssh-keygen(1), ALLOWED SIGNERS)"
                ),
            )
        };
        if !directory.exists() {
            return Err(nobody());
        }
        if let Some(loose) = loose_files(directory).into_iter().next() {
            return Err(Refusal::new(CONFIG, "signers", loose));
        }
        let signers = Signers::read(directory)?;
        if signers.is_empty() {
            return Err(match signers.problems().first() {
                Some(problem) => Refusal::new(CONFIG, "signers", problem.to_string()),
                None => nobody(),
            });
        }
        Ok(signers)
    }

    /// What is there while there is nothing to lose is accepted, and what is there at the first start.
    pub(in crate::daemon) fn accept_first_signers(&mut self) {
        if self.state.host == HostState::Idle || !Path::new(ACCEPTED).exists() {
            self.keep_accepted_signers();
        }
    }

    /// From now on these are the ones.
    pub(in crate::daemon) fn keep_accepted_signers(&mut self) {
        // Where something is wrong with them nobody may sign, and that is what is accepted.
        let signers = Self::read_signers().unwrap_or_default();
        let digest = format!("{}\n", hex(&signers.digest()));
        let kept = state::replace(Path::new(ACCEPTED), digest.as_bytes());
        let problem = kept.err().map(|error| format!("{ACCEPTED}: {error}"));
        self.set_health("accepted-signers", problem);
    }

    /// What is wrong with those who may sign, a line each.
    pub(super) fn signers_problems(&mut self) -> Vec<String> {
        match self.signers() {
            Ok((signers, _)) => signers.problems().iter().map(ToString::to_string).collect(),
            Err(refusal) => vec![refusal.why],
        }
    }
}
