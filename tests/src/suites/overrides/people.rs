//! Who may sign, and how many.

use anyhow::{Result, ensure};

use super::{all_closed, must, refused};
use crate::harness::{audit, guard};
use crate::suites::signing;

/// Strangers, other namespaces, keys in software that nobody has allowed, revoked ones.
pub fn keys() -> Result<()> {
    must("ask --device $DEV --op raw-write")?;
    refused(
        "sign mallory; dbguard override apply r.txt mallory.sig 2>&1",
        77,
        "",
    )?;
    refused(
        "ssh-keygen -q -Y sign -f alice -n file r.txt 2>/dev/null; mv r.txt.sig file.sig; dbguard override apply r.txt file.sig 2>&1",
        77,
        "override@dbguard",
    )?;
    let mark = audit::mark();
    refused(
        "sign sealed; dbguard override apply r.txt sealed.sig 2>&1",
        77,
        "software",
    )?;
    audit::wait(mark, "a key in software", |record| {
        record.text("/refused/code") == "software-key"
    })?;
    refused(
        "printf garbage >g.sig; dbguard override apply r.txt g.sig 2>&1",
        77,
        "no SSH signature",
    )?;
    refused(
        "dbguard override apply r.txt /dev/null 2>&1",
        77,
        "no SSH signature",
    )?;
    // Pasted over a serial console: spaces, carriage returns, from standard input.
    must(
        "sign alice; sed 's/$/\\r/; s/^/  /' alice.sig | dbguard override apply r.txt - && dbguard override revoke $(dbguard override list | grep 'open for' | grep -o '^G-[0-9]*')",
    )?;
    // Revoked on the host: at once, on a host that is armed.
    must(
        "cut -d' ' -f1,2 bob.pub >/etc/dbguard/allowed_signers.d/revoked; dbguard config apply --confirm-host $(uname -n)",
    )?;
    must("ask --device $DEV --op raw-write")?;
    refused(
        "sign bob; dbguard override apply r.txt bob.sig 2>&1",
        77,
        "revoked",
    )?;
    must(
        "rm /etc/dbguard/allowed_signers.d/revoked; dbguard config apply --confirm-host $(uname -n)",
    )?;
    all_closed()
}

/// The device of the running database: two people, with two keys.
pub fn two() -> Result<()> {
    must(
        "ask --device /dev/disk/by-role/data --op raw-write && grep -q '^signers: 2$' r.txt && sign alice alice2 bob carl",
    )?;
    refused(
        "dbguard override apply r.txt alice.sig 2>&1",
        77,
        "1 of 2 signatures",
    )?;
    refused(
        "dbguard override apply r.txt alice.sig alice2.sig 2>&1",
        77,
        "has signed twice",
    )?;
    refused(
        "dbguard override apply r.txt alice.sig alice.sig 2>&1",
        77,
        "twice",
    )?;
    refused(
        "dbguard override apply r.txt alice.sig bob.sig mallory.sig 2>&1",
        66,
        "mallory.sig",
    )?;
    must("G=$(apply alice.sig bob.sig) && dbguard override revoke $G")?;
    all_closed()
}

/// Whoever asks does not sign.
pub fn requester() -> Result<()> {
    let ask = "sh -c 'echo $(id -u alice) >/proc/self/loginuid || { echo no loginuid; exit 77; }; dbguard override request --device $DEV --op raw-write --incident I --reason R >r.txt 2>/dev/null'";
    must(&format!(
        "rm -f r.txt *.sig; {ask} || exit; grep -q '^requester: alice' r.txt && sign alice bob"
    ))?;
    let mark = audit::mark();
    refused(
        "dbguard override apply r.txt alice.sig 2>&1",
        77,
        "has asked for this",
    )?;
    audit::wait(mark, "the requester", |record| {
        record.text("/refused/code") == "requester"
    })?;
    must("G=$(apply bob.sig) && dbguard override revoke $G")?;
    all_closed()
}

/// The key that lies sealed is enough for everything, and is loud.
pub fn emergency() -> Result<()> {
    guard::configure(&format!(
        "{}emergency_keys = [\"{}\"]\n",
        signing::CONFIG,
        must("ssh-keygen -lf sealed.pub | cut -d' ' -f2")?.trim()
    ))?;
    let mark = audit::mark();
    let text = must(
        "ask --device /dev/disk/by-role/data --op raw-write && grep -q '^signers: 2$' r.txt && sign sealed
         T=$(date +%s); G=$(apply sealed.sig) || exit 1; dbguard override revoke $G; sleep 0.5
         journalctl -q --since @$T -u dbguard -p alert",
    )?;
    ensure!(text.contains("EMERGENCY KEY"), "it was not loud: {text}");
    audit::wait(mark, "an emergency", |record| {
        record.text("/step") == "opened"
            && record.0.pointer("/signers/0/emergency") == Some(&serde_json::Value::Bool(true))
    })?;
    guard::configure(signing::CONFIG)?;
    all_closed()
}

/// Who writes a file does not make a signer, on a host with something to lose.
pub fn accepted() -> Result<()> {
    must(
        "echo \"mallory@example.com $(cut -d' ' -f1,2 mallory.pub)\" >/etc/dbguard/allowed_signers.d/new",
    )?;
    refused(
        "ask --device $DEV --op raw-write || { cat told; exit 75; }",
        75,
        "others than were accepted",
    )?;
    must("dbguard override list >list 2>&1; grep -q 'others than were accepted' list")?;
    // A restart accepts nothing.
    guard::start_controller()?;
    must("systemctl restart dbguard")?;
    refused(
        "ask --device $DEV --op raw-write || { cat told; exit 75; }",
        75,
        "others than were accepted",
    )?;
    must("dbguard config apply --confirm-host $(uname -n) && ask --device $DEV --op raw-write")?;
    must("chmod 666 /etc/dbguard/allowed_signers.d/new")?;
    refused(
        "ask --device $DEV --op raw-write || { cat told; exit 78; }",
        78,
        "others than root can write it",
    )?;
    must("rm /etc/dbguard/allowed_signers.d/new; dbguard config apply --confirm-host $(uname -n)")?;
    all_closed()
}
