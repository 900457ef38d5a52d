//! A request is good for what it says: on this host, in this boot, about this device, once.

use anyhow::{Result, ensure};

use super::{all_closed, must, refused};
use crate::harness::audit;

/// Each change has a reason of its own, which the person reads and the log has.
pub fn every_byte() -> Result<()> {
    let changes = [
        ("s/^reason: .*/reason: other/", "was changed", "altered"),
        ("s/^opens: .*/opens: kexec/", "was changed", "altered"),
        ("s/^uses: 1/uses: 8/", "was changed", "altered"),
        ("s/^minutes: .*/minutes: 60/", "was changed", "altered"),
        ("s/^device: .*/device: sda/", "was changed", "altered"),
        ("s/^signers: .*/signers: 01/", "cannot be '01'", "text"),
        ("/^reason:/{h;d};/^policy:/G", "should be 'reason", "text"),
        ("s/$/\\r/", "carriage return", "text"),
        ("s/test/t\u{e9}st/", "character", "text"),
        ("s/^nonce: ./nonce: x/", "'nonce' cannot be", "text"),
        ("$a more: x", "more after", "text"),
        ("s/v1$/v2/", "first line", "text"),
        ("s/^reason: /reason:  /", "'reason' cannot be", "text"),
    ];
    must("ask --device $DEV --op raw-write && sign alice && cp r.txt good.txt")?;
    for (change, words, code) in changes {
        let mark = audit::mark();
        refused(
            &format!(
                "sed '{change}' good.txt >r.txt; cmp -s r.txt good.txt && exit 99
                 ssh-keygen -q -Y sign -f alice -n override@dbguard r.txt 2>/dev/null; mv r.txt.sig changed.sig
                 dbguard override apply r.txt changed.sig 2>&1"
            ),
            77,
            words,
        )?;
        audit::wait(mark, change, |record| record.text("/refused/code") == code)?;
    }
    // The one that was signed is not another: not its text with the signature of another.
    refused(
        "printf x >x.txt; ssh-keygen -q -Y sign -f alice -n override@dbguard x.txt 2>/dev/null; dbguard override apply good.txt x.txt.sig 2>&1",
        77,
        "",
    )?;
    must(
        "dbguard override apply good.txt alice.sig && dbguard override revoke $(dbguard override list | grep -o '^G-[0-9]*' | tail -1)",
    )?;
    all_closed()
}

/// Once applied is applied; a request is not a grant, and a grant of nobody's is none.
pub fn replay() -> Result<()> {
    must("G=$(open --device $DEV --op raw-write) && dbguard exec --grant $G -- true")?;
    refused("dbguard override apply r.txt alice.sig 2>&1", 77, "already")?;
    refused(
        "dbguard exec --grant G-9999 -- true 2>&1",
        66,
        "never given",
    )?;
    refused("dbguard exec --grant 0 -- true 2>&1", 64, "named like G-19")?;
    refused(
        "G=$(open --device $DEV --op raw-write); dbguard exec --grant $G -- /no/such/command 2>&1",
        127,
        "no such command",
    )?;
    // It was not spent by that.
    must(
        "G=$(dbguard override list | grep 'open for' | grep -o '^G-[0-9]*'); dbguard exec --grant $G -- true",
    )?;
    refused("dbguard override revoke G-9999 2>&1", 66, "is not open")?;
    refused(
        "dbguard override request E-ZZZZ --incident I --reason R 2>&1",
        66,
        "no event",
    )?;
    refused(
        "dbguard override request --device /etc/passwd --op raw-write --incident I --reason R 2>&1",
        66,
        "is no device",
    )?;
    refused(
        "dbguard override request --device $DEV --op wipe --incident I --reason R 2>&1",
        64,
        "no operation class",
    )?;
    refused(
        "dbguard override request --device $DEV --op raw-write --incident I --reason R --minutes 600 2>&1",
        64,
        "not between",
    )?;
    refused(
        "dbguard override request --device $DEV --op raw-write --incident ' ' --reason R 2>&1",
        64,
        "says nothing",
    )?;
    all_closed()
}

/// The broadcast: the same files, signed and all, on other hosts, a clone, and after a restart.
pub fn other_hosts() -> Result<()> {
    must("ask --device $DEV --op raw-write && sign alice && cp r.txt good.txt")?;
    let broadcast = |change: &str, words: &str| {
        refused(
            &format!(
                "sed '{change}' good.txt >r.txt; ssh-keygen -q -Y sign -f alice -n override@dbguard r.txt 2>/dev/null
                 dbguard override apply r.txt r.txt.sig 2>&1"
            ),
            77,
            words,
        )
    };
    broadcast("s/^host: .*/host: db8/", "signed for db8, this is")?;
    broadcast(
        "s/^machine-id: ./machine-id: x/",
        "another machine of the name",
    )?;
    broadcast("s/^boot-id: ./boot-id: x/", "an earlier boot")?;
    // What another host of the same name, machine-id and boot would have made.
    broadcast(
        "s/^nonce: ......../nonce: 00000000/",
        "has made no such request",
    )?;
    // A host that is renamed is another.
    must(
        "H=$(uname -n); trap 'hostname $H' EXIT; hostname db8; dbguard override apply good.txt alice.sig >out 2>&1; [ $? = 77 ] && grep -q \"signed for $H, this is db8\" out",
    )?;
    all_closed()
}

/// The device has been replaced under its name since.
pub fn other_device() -> Result<()> {
    let text = must(
        "S=$(cat /sys/block/$(basename $DEV)/diskseq 2>/dev/null) || { echo skip=no diskseq; exit 0; }
         ask --device $DEV --op raw-write && sign alice
         C=/sys/kernel/config/nullb/granted; dbguard release --confirm-host $(uname -n) $DEV >/dev/null
         echo 0 >$C/power; echo 1 >$C/power; udevadm settle
         [ $S != $(cat /sys/block/$(basename $DEV)/diskseq) ] || exit 3
         for i in $(seq 50); do dbguard check $DEV >/dev/null && break; sleep 0.1; done
         dbguard mark --device $DEV >/dev/null || exit 4
         dbguard override apply r.txt alice.sig 2>&1; echo status=$?",
    )?;
    if let Some((_, why)) = text.split_once("skip=") {
        return Err(crate::harness::case::skip(why.trim()));
    }
    ensure!(
        text.contains("status=77") && text.contains("is another device now"),
        "{text}"
    );
    all_closed()
}

/// Life is counted from boot, not by the clock on the wall.
pub fn clock_moved() -> Result<()> {
    must(
        "trap 'hwclock -s 2>/dev/null; date -s \"$T seconds ago\" >/dev/null 2>&1; date -s @$N >/dev/null' EXIT; N=$(date +%s)
         ask --device $DEV --op raw-write --minutes 1 && sign alice
         date -s @$((N + 86400)) >/dev/null; G=$(apply alice.sig) || exit 1; dbguard exec --grant $G -- true || exit 2
         ask --device $DEV --op raw-write --minutes 1 && sign alice
         date -s @$((N - 86400)) >/dev/null; G=$(apply alice.sig) || exit 3; dbguard exec --grant $G -- true || exit 4",
    )?;
    all_closed()
}
