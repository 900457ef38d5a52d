//! One operation class at a time is let through: the act succeeds, the record says that it would
//! have been refused, and everything else is refused as before.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::fixture::{self, Shared};
use crate::acts;
use crate::harness::case::{Breadth, Case};
use crate::harness::disk::Disk;
use crate::harness::shell::Script;
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, guard};
use crate::native::{self, ioctl, write};

/// What the cases act on.
#[derive(Clone)]
struct Disks {
    /// A marked SCSI disk.
    scsi: Disk,
    /// A marked disk in memory.
    memory: Disk,
    /// The same, opened for writing before it was marked.
    held: std::sync::Arc<File>,
}

/// An act whose refusal names exactly this class.
struct Observed {
    op: &'static str,
    /// Further classes that its clean-up needs.
    beside: &'static [&'static str],
    act: fn(&Disks) -> Result<()>,
    /// The device that the record names.
    device: fn(&Disks) -> &Disk,
}

const fn observed(
    op: &'static str,
    act: fn(&Disks) -> Result<()>,
    device: fn(&Disks) -> &Disk,
) -> Observed {
    Observed {
        op,
        beside: &[],
        act,
        device,
    }
}

const CASES: &[Observed] = &[
    observed("raw-write", raw_write, |disks| &disks.scsi),
    observed("discard", discard, |disks| &disks.memory),
    observed("partition", partition, |disks| &disks.scsi),
    observed("passthrough", passthrough, |disks| &disks.scsi),
    Observed {
        op: "remap",
        beside: &["detach"],
        act: remap,
        device: |disks| &disks.memory,
    },
    observed("detach", detach, |disks| &disks.scsi),
];

/// The cases.
pub fn cases() -> Vec<Case> {
    let shared: Shared<Disks> = Shared::default();
    let made = shared.clone();
    let mut cases = vec![Case::prepare("prepare", move || {
        guard::must_be_armed()?;
        fixture::load_modules()?;
        acts::prepare_scratch()?;
        made.set(prepare()?);
        Ok(())
    })];
    for (at, case) in CASES.iter().enumerate() {
        let shared = shared.clone();
        cases.push(
            Case::test(format!("class-{}", case.op), move || {
                one_class(case, &shared.get()?)
            })
            .limit(150)
            .breadth(Breadth::of_sample(at)),
        );
    }
    let again = shared.clone();
    cases.push(Case::test("class-allowed", move || allowed(&again.get()?)).limit(120));
    cases.push(
        Case::test("mode-observe-with-a-refused-class", move || {
            refused_beside(&shared.get()?)
        })
        .limit(120),
    );
    cases.push(Case::clean_up("enforce-again", || configure("")));
    cases
}

fn prepare() -> Result<Disks> {
    let scsi = Disk::role("spare1")?;
    let memory = fixture::memory_disk("observed-class", 48)?;
    guard::wait_free(&memory.node)?;
    write::pwrite(&memory.node)?;
    let held = native::open(&memory.node, true, true, 0)?;
    for disk in [&scsi, &memory] {
        guard::mark_device(&disk.node)?;
    }
    Ok(Disks {
        scsi,
        memory,
        held: held.into(),
    })
}

/// Makes this the site's configuration, and waits until it is in force.
fn configure(text: &str) -> Result<()> {
    let since = audit::mark();
    guard::configure(text)?;
    audit::wait(since, "the configuration read again", |record| {
        record.is_kind("config") && record.0.get("accepted") == Some(&Value::Bool(true))
    })
    .map(drop)
}

fn handling(op: &str) -> Result<String> {
    let status = guard::status()?;
    let handling = status
        .pointer(&format!("/ops/{op}"))
        .and_then(Value::as_str);
    Ok(handling
        .context("status tells no handling of the class")?
        .to_owned())
}

/// `dbguard check --for OP DEVICE`: exit code and text.
fn check(op: &str, disk: &Disk) -> Result<(Option<i32>, String)> {
    let output = guard::cli(&format!("check --for {op} {}", disk.path()))?;
    Ok((output.code, output.text))
}

fn one_class(case: &Observed, disks: &Disks) -> Result<()> {
    let (op, disk) = (case.op, (case.device)(disks));
    let mark = audit::mark();
    ensure!(
        (case.act)(disks).is_err(),
        "{op} was not refused while it is enforced"
    );
    let refusal = audit::wait_refusal(mark, &[disk.numbers()?], &[op])?;
    ensure!(refusal.text("/decision") == "deny", "{}", refusal.brief());
    ensure!(check(op, disk)?.0 == Some(guard::answer::REFUSED), "check");

    let lines: Vec<String> = std::iter::once(&op)
        .chain(case.beside)
        .map(|op| format!("{op} = \"observe\"\n"))
        .collect();
    let text = format!("[ops]\n{}", lines.concat());
    let mark = audit::mark();
    configure(&text)?;
    let result = while_observed(case, disks, mark);
    configure("")?;
    result?;
    ensure!(handling(op)? == "refuse", "status still says otherwise");
    ensure!(
        (case.act)(disks).is_err(),
        "{op} is not refused once it is enforced again"
    );
    Ok(())
}

fn while_observed(case: &Observed, disks: &Disks, since: audit::Mark) -> Result<()> {
    let (op, disk) = (case.op, (case.device)(disks));
    audit::wait(since, "the change of the mode", |record| {
        record.is_kind("mode")
            && record.text("/to") == "enforce"
            && record.text(&format!("/to_ops/{op}")) == "observe"
    })?;
    ensure!(handling(op)? == "observe", "status does not say so");
    let status = guard::cli("status")?.text;
    ensure!(status.contains(&format!("{op} observe")), "{status}");
    let (code, text) = check(op, disk)?;
    ensure!(
        code == Some(guard::answer::ALLOWED) && text.contains("it would be recorded"),
        "check --for {op} ended with {code:?}: {text}"
    );
    let (mark, before) = (audit::mark(), guard::counters()?);
    (case.act)(disks).with_context(|| format!("{op} is observed, and was refused"))?;
    let record = audit::wait_refusal(mark, &[disk.numbers()?], &[op])?;
    ensure!(
        record.text("/decision") == "would-deny" && record.text("/mode") == "enforce",
        "recorded as {}",
        record.brief()
    );
    ensure!(
        guard::counters()?.would_deny > before.would_deny,
        "the kernel half did not count it"
    );
    let why = guard::cli(&format!("why {}", record.text("/event")))?.text;
    ensure!(
        why.contains(&format!("would have been refused ({op} is observed)")),
        "{why}"
    );
    others_are_refused(op, disks)
}

/// A class that nothing was said about.
fn others_are_refused(observed: &str, disks: &Disks) -> Result<()> {
    let other = CASES
        .iter()
        .find(|case| !matches!(case.op, "remap" | "discard") && case.op != observed)
        .context("no other class")?;
    if observed == "remap" {
        return bytes_refused(&disks.memory.node);
    }
    ensure!(
        (other.act)(disks).is_err(),
        "{} was let through beside {observed}",
        other.op
    );
    Ok(())
}

fn bytes_refused(node: &Path) -> Result<()> {
    ensure!(
        write::pwrite(node).is_err(),
        "a write was let through beside the observed class"
    );
    Ok(())
}

fn allowed(disks: &Disks) -> Result<()> {
    configure("[ops]\nraw-write = \"allow\"\n")?;
    let result = (|| {
        let (code, text) = check("raw-write", &disks.scsi)?;
        ensure!(
            code == Some(guard::answer::ALLOWED) && text.contains("allowed by the configuration"),
            "check ended with {code:?}: {text}"
        );
        let mark = audit::mark();
        raw_write(disks).context("raw-write is allowed, and was refused")?;
        let number = disks.scsi.numbers()?;
        let record = audit::wait(mark, "an allowed write", |record| {
            record.text("/decision") == "allowed" && record.text("/object/dev") == number
        })?;
        let why = guard::cli(&format!("why {}", record.text("/event")))?.text;
        ensure!(why.contains("the configuration allows raw-write"), "{why}");
        ensure!(
            passthrough(disks).is_err(),
            "passthrough was let through beside it"
        );
        Ok(())
    })();
    configure("")?;
    result?;
    bytes_refused(&disks.scsi.node)
}

fn refused_beside(disks: &Disks) -> Result<()> {
    configure("mode = \"observe\"\n[ops]\nraw-write = \"refuse\"\n")?;
    let result = (|| {
        let before = Snapshot::take(&disks.scsi)?;
        ensure!(
            write::pwrite(&disks.scsi.node).is_err(),
            "a refused class was let through in mode observe"
        );
        before.unchanged()?;
        detach(disks).context("mode observe refused")
    })();
    configure("")?;
    result
}

fn raw_write(disks: &Disks) -> Result<()> {
    // Other bytes each time, so that a second write changes something too.
    let before = Snapshot::take(&disks.scsi)?;
    Script::new("dd if=/dev/urandom of=$D bs=64k count=1 conv=fsync")
        .with("D", disks.scsi.path())
        .must()?;
    ensure!(before.changed()?.0 > 0, "the write had no effect");
    Ok(())
}

/// Through a descriptor from before: an open for writing would be another class.
fn discard(disks: &Disks) -> Result<()> {
    ioctl::zero_out_by(&disks.held)
}

fn partition(disks: &Disks) -> Result<()> {
    Script::new(
        "addpart $D 9 2048 2048 || exit 1; udevadm settle
         [ -e /sys/class/block/${D#/dev/}9 ] || exit 2; delpart $D 9",
    )
    .with("D", disks.scsi.path())
    .must()
    .map(drop)
}

fn passthrough(disks: &Disks) -> Result<()> {
    let before = Snapshot::take(&disks.scsi)?;
    Script::new(
        "head -c 4096 /dev/urandom >$DIR/random; \
         sg_raw -R -s 4096 -i $DIR/random $D 2a 00 00 00 00 00 00 00 08 00",
    )
    .with("DIR", acts::SCRATCH)
    .with("D", disks.scsi.path())
    .must()?;
    ensure!(before.changed()?.0 > 0, "the command had no effect");
    Ok(())
}

/// An array laid over the disk.
fn remap(disks: &Disks) -> Result<()> {
    Script::new(
        "mdadm --build /dev/md/classes --run --force --level=1 --raid-devices=2 $D missing </dev/null \
         || { r=$?; mdadm --stop /dev/md/classes; exit $r; }
         udevadm settle; grep -q ${D#/dev/} /proc/mdstat || exit 3; mdadm --stop /dev/md/classes",
    )
    .with("D", disks.memory.path())
    .limit(60)
    .must()
    .map(drop)
}

fn detach(disks: &Disks) -> Result<()> {
    Script::new(
        "blockdev --setro $D || exit 1; [ $(blockdev --getro $D) = 1 ] || exit 2; \
         blockdev --setrw $D",
    )
    .with("D", disks.scsi.path())
    .must()
    .map(drop)
}
