//! Keys in hardware: what they tell of the person at them decides. The authenticator is software that was
//! made for this, because no real one signs with the wrong flags.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use guard_user::grant::testing::{Authenticator, PIN, TOUCHED, certify};

use super::{all_closed, must, refused};
use crate::suites::signing;

/// The signers' file of these cases.
const SIGNERS: &str = "/etc/dbguard/allowed_signers.d/hardware";

/// Signs the request that was asked for, as `hardware`: `ask` removes what ends in `.sig`.
fn sign(key: &Authenticator) -> Result<()> {
    let laptop = Path::new(signing::LAPTOP);
    let request = fs::read(laptop.join("r.txt")).context("reading the request")?;
    fs::write(laptop.join("hardware"), key.sign(&request)).context("writing a signature")
}

fn person(name: &str, key: &Authenticator) -> String {
    format!("{name} namespaces=\"override@dbguard\" {}\n", key.line())
}

/// Touched and unlocked it counts; without the PIN, without a touch, or made for something else it does
/// not. Nobody had to allow it by name, as software keys must be.
pub fn keys() -> Result<()> {
    let keys = [Authenticator::sk_ed25519(7), Authenticator::sk_ecdsa(7)];
    let other = Authenticator::sk_ed25519(8).application("ssh:other");
    let authority = Authenticator::sk_ecdsa(9);
    let certified = Authenticator::sk_ed25519(10);
    let lines = [
        person("hanna", &keys[0]),
        person("henry", &keys[1]),
        person("olga", &other),
        format!("alice,carol cert-authority {}\n", authority.line()),
    ];
    fs::write(SIGNERS, lines.concat()).context("writing signers")?;
    must("dbguard config apply --confirm-host $(uname -n)")?;
    for key in &keys {
        must("ask --device $DEV --op raw-write")?;
        for (flags, words) in [
            (0, "nobody touched"),
            (PIN, "nobody touched"),
            (TOUCHED, "did not ask for its PIN"),
        ] {
            sign(&key.clone().flags(flags))?;
            refused("dbguard override apply r.txt hardware 2>&1", 77, words)?;
        }
        sign(key)?;
        must("G=$(apply hardware) && dbguard exec --grant $G -- true")?;
        // The same signature again, and the same key for another request.
        refused("dbguard override apply r.txt hardware 2>&1", 77, "already")?;
        must("ask --device $DEV --op raw-write")?;
        refused(
            "dbguard override apply r.txt hardware 2>&1",
            77,
            "not over this text",
        )?;
    }
    must("ask --device $DEV --op raw-write")?;
    sign(&other)?;
    refused(
        "dbguard override apply r.txt hardware 2>&1",
        77,
        "application",
    )?;
    // By the authority, for whom its line names, and for nobody else.
    let mut draft = certify(&certified, &authority);
    draft.principals = &["mallory"];
    sign(&certified.clone().certified(&draft))?;
    refused("dbguard override apply r.txt hardware 2>&1", 77, "mallory")?;
    draft.principals = &["carol"];
    sign(&certified.clone().certified(&draft))?;
    must("G=$(apply hardware) && dbguard override revoke $G")?;
    fs::remove_file(SIGNERS).context("removing signers")?;
    must("dbguard config apply --confirm-host $(uname -n)")?;
    all_closed()
}
