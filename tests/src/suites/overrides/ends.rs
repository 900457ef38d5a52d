//! How a grant ends, also in the middle of what runs under it.

use anyhow::{Result, ensure};

use super::{all_closed, granted, must, refused};
use crate::harness::guard;
use crate::harness::snapshot::Snapshot;

/// A command under the grant that writes through one descriptor, four times a second, and says so.
const WRITER: &str = "dbguard exec --grant $G -- sh -c 'echo $$ >writer; exec 3<>$DEV; i=0; while [ $i -lt 600 ]; do i=$((i+1)); dd if=/dev/urandom bs=4096 count=1 oflag=direct >&3 2>/dev/null && echo wrote || echo refused; sleep 0.25; done' >writes 2>&1 &
    for i in $(seq 100); do [ \"$(grep -c wrote writes)\" -ge 2 ] && break; sleep 0.1; done; grep -q wrote writes || exit 8; grep -q refused writes && exit 9
";
/// Waits until it is refused, and ends it.
const UNTIL_REFUSED: &str = "for i in $(seq 1000); do tail -1 writes | grep -q refused && break; sleep 0.1; done; tail -1 writes | grep -q refused || exit 10
    S=$(sha256sum <$DEV); sleep 1; [ \"$S\" = \"$(sha256sum <$DEV)\" ] || exit 11
    kill $(cat writer); exit 0
";

/// Revoked: from the next write on, though the descriptor is open.
pub fn revoked() -> Result<()> {
    must(&format!(
        "G=$(open --device $DEV --op raw-write) || exit 1
         {WRITER}
         dbguard override revoke $G || exit 2
         {UNTIL_REFUSED}"
    ))?;
    all_closed()
}

/// The same when the time is over.
pub fn time_over() -> Result<()> {
    must(&format!(
        "ask --device $OTHER --op raw-write --minutes 1 && sign alice && mv r.txt late.txt && mv alice.sig late || exit 7
         G=$(open --device $DEV --op raw-write --minutes 1) || exit 1
         {WRITER}
         {UNTIL_REFUSED}"
    ))?;
    // Signed in time, brought too late.
    refused(
        "dbguard override apply late.txt late 2>&1",
        77,
        "this request ended",
    )?;
    all_closed()
}

/// Without a controller what runs goes on, others are refused, and the end still comes.
pub fn controller_dead() -> Result<()> {
    let disk = granted()?;
    let before = Snapshot::take(&disk)?;
    must(&format!(
        "G=$(open --device $DEV --op raw-write) || exit 1
         {WRITER}
         systemctl mask --runtime -q dbguard; systemctl kill -s KILL dbguard; sleep 1
         N=$(grep -c wrote writes); sleep 2; [ $(grep -c wrote writes) -gt $N ] || exit 3; grep -q refused writes && exit 4
         dd if=$DIR/junk64k of=$DEV bs=4k count=1 conv=notrunc 2>/dev/null && exit 5
         dbguard exec --grant $G -- true 2>/dev/null; [ $? = 75 ] || exit 6
         systemctl unmask --runtime -q dbguard; exit 0"
    ))?;
    guard::start_controller()?;
    ensure!(before.unchanged().is_err(), "it did not write");
    must(&format!(
        "G=$(dbguard override list | grep 'open for' | grep -o '^G-[0-9]*') || exit 1
         N=$(grep -c wrote writes); sleep 2; [ $(grep -c wrote writes) -gt $N ] || exit 3
         dbguard override revoke $G || exit 2
         {UNTIL_REFUSED}"
    ))?;
    all_closed()
}

/// A ledger that cannot be read: nothing is opened, nothing that was open goes on, and it is said.
pub fn ledger_damaged() -> Result<()> {
    must(
        "G=$(open --device $DEV --op raw-write --uses 8) || exit 1
         dbguard exec --grant $G -- true || exit 2
         sed -i 2s/boot/b00t/ /var/lib/dbguard/ledger && exit 3
         ask --host --op guard && sign alice bob && H=$(apply alice.sig bob.sig) || exit 4
         dbguard exec --grant $H -- sh -c 'systemctl stop dbguard; sed 2s/boot/b00t/ /var/lib/dbguard/ledger >bad && cat bad >/var/lib/dbguard/ledger' || exit 5
         cp bad ledger.bad",
    )?;
    guard::start_controller()?;
    refused(
        "G=$(dbguard override list | grep -o '^G-[0-9]*' | tail -1); dbguard exec --grant ${G:-G-1} -- true 2>&1",
        70,
        "is damaged",
    )?;
    refused(
        "ask --device $DEV --op raw-write || { cat told; exit 70; }",
        70,
        "is damaged",
    )?;
    must("dbguard status >out; grep -q 'ledger is damaged' out")?;
    refused(
        "dbguard override reset --confirm-host db8 2>&1",
        64,
        "not 'db8'",
    )?;
    must(
        "dbguard override reset --confirm-host $(uname -n); cmp ledger.bad /var/lib/dbguard/ledger.damaged && dbguard status | grep ledger && exit 1; exit 0",
    )?;
    refused(
        "dbguard override reset --confirm-host $(uname -n) 2>&1",
        66,
        "is whole",
    )?;
    must(
        "O=$(grep -o 'grant\":[0-9]*' ledger.bad | grep -o '[0-9]*' | sort -n | tail -1); G=$(open --device $DEV --op raw-write) && [ ${G#G-} -gt $O ] && dbguard exec --grant $G -- true",
    )?;
    all_closed()
}
