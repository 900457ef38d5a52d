//! People who may sign, with software keys on a machine of their own, for suites that break the glass.

use anyhow::Result;

use crate::harness::guard;
use crate::harness::shell::{self, Script};

/// Where keys, requests and signatures lie; the signers' own machine.
pub const LAPTOP: &str = "/run/laptop";

/// What the host accepts of them.
pub const CONFIG: &str = "[override]\nsoftware_keys = [\"alice@example.com\", \"bob@example.com\", \"carl@example.com\"]\n";

/// Functions for scripts: `ask` writes a request to `r.txt`, `sign` has people sign it, `apply` applies
/// it and prints the grant's number; `open` does all of it with one person, `both` with two, as a host
/// with a running database wants it.
pub const HEAD: &str = r#"cd /run/laptop; WHY='--incident INC-1 --reason test'
ask() { rm -f r.txt r.txt.sig *.sig; dbguard override request "$@" $WHY >r.txt 2>told; }
sign() { rm -f r.txt.sig; for who; do ssh-keygen -q -Y sign -f $who -n override@dbguard r.txt 2>/dev/null && mv r.txt.sig $who.sig || return 1; done; }
apply() { dbguard override apply r.txt "$@" >applied || return; sed -n 's/^\(G-[0-9]*\) is open.*/\1/p' applied; }
open() { ask "$@" && sign alice && apply alice.sig; }
both() { ask "$@" && sign alice bob && G=$(apply alice.sig bob.sig); }
"#;

/// Makes the keys, and has the host accept those who hold them.
pub fn prepare() -> Result<()> {
    Script::new(
        "set -e; rm -rf $L; mkdir -p $L /etc/dbguard/allowed_signers.d; cd $L
         for who in alice alice2 bob carl mallory sealed; do ssh-keygen -q -t ed25519 -N '' -C $who -f $who; done
         line() { echo \"$1@example.com namespaces=\\\"override@dbguard\\\" $(cut -d' ' -f1,2 $2.pub)\"; }
         { line alice alice; line alice alice2; line bob bob; line carl carl; line vault sealed; } >/etc/dbguard/allowed_signers.d/oncall
         useradd -M alice 2>/dev/null || true",
    )
    .with("L", LAPTOP)
    .must()?;
    guard::configure(CONFIG)
}

/// Takes all of it back.
pub fn remove() -> Result<()> {
    guard::configure("")?;
    shell::must(
        "rm -rf /run/laptop /etc/dbguard/allowed_signers.d; userdel alice; dbguard config apply --confirm-host $(uname -n)",
    )
    .map(drop)
}
