//! Modes, configuration, and command lines that are wrong.

use anyhow::{Context, Result, ensure};

use super::{armed, data_is_refused_in};
use crate::acts::SCRATCH;
use crate::harness::disk::Disk;
use crate::harness::shell::{self, Script};
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, guard};
use crate::native::{ioctl, write};
use crate::suites::fixture;

fn configure(file: &str, text: &str) -> Result<()> {
    Script::new("mkdir -p /etc/dbguard/conf.d; printf '%s' \"$TEXT\" >/etc/dbguard/conf.d/$FILE")
        .with("FILE", file)
        .with("TEXT", text)
        .must()
        .map(drop)
}

/// Has the controller accept what is there, also where it guards less.
fn apply() -> Result<()> {
    shell::must("dbguard config apply --confirm-host $(uname -n)").map(drop)
}

fn reload() -> Result<()> {
    shell::must("systemctl kill -s HUP --kill-whom=main dbguard.service; sleep 1.5").map(drop)
}

/// Observe mode records what enforce mode refuses, and refuses nothing.
pub fn observe() -> Result<()> {
    armed()?;
    let disk = fixture::memory_disk("observed", 48)?;
    guard::mark_device(&disk.node)?;
    ensure!(
        write::pwrite(&disk.node).is_err(),
        "not refused in enforce mode"
    );
    configure("90-observe.toml", "mode = \"observe\"\n")?;
    let result = not_without_a_word(&disk)
        .and_then(|()| apply())
        .and_then(|()| observed(&disk));
    shell::must("rm /etc/dbguard/conf.d/90-observe.toml")?;
    reload()?;
    result?;
    let before = Snapshot::take(&disk)?;
    ensure!(
        write::pwrite(&disk.node).is_err(),
        "not refused once enforce mode is back"
    );
    before.unchanged()
}

/// On an armed host a reload, or a restart, does not accept what guards less; and says so.
fn not_without_a_word(disk: &Disk) -> Result<()> {
    for how in ["reload", "restart"] {
        let mark = audit::mark();
        if how == "reload" {
            reload()?;
            audit::wait(mark, "a configuration that was not accepted", |record| {
                record.is_kind("config")
                    && record.0.get("accepted") == Some(&serde_json::Value::Bool(false))
            })?;
        } else {
            shell::must("systemctl restart dbguard.service")?;
            guard::start_controller()?;
        }
        ensure!(
            write::pwrite(&disk.node).is_err(),
            "{how} was enough to observe"
        );
        let status = guard::cli("status")?;
        ensure!(
            !status.succeeded() && status.text.contains("config apply"),
            "{how}: status does not say what to do: {}",
            status.text
        );
    }
    Ok(())
}

fn observed(disk: &Disk) -> Result<()> {
    let mode = guard::status()?
        .get("mode")
        .and_then(|mode| mode.as_str().map(str::to_owned));
    ensure!(
        mode.as_deref() == Some("observe"),
        "status says mode {mode:?}"
    );
    let (mark, before) = (audit::mark(), guard::counters()?);
    let bytes = Snapshot::take(disk)?;
    Script::new("dd if=/dev/urandom of=$D bs=64k count=1 conv=fsync")
        .with("D", disk.path())
        .must()
        .context("observe mode refused")?;
    ensure!(bytes.changed()?.0 > 0, "the write had no effect");
    let record = audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write"])?;
    ensure!(
        record.text("/decision") == "would-deny",
        "recorded as {}",
        record.text("/decision")
    );
    let now = guard::counters()?;
    ensure!(
        now.would_deny > before.would_deny && now.denied == before.denied,
        "{before:?} {now:?}"
    );
    Ok(())
}

/// A server that the operator names may write the raw device that the operator names; others not.
pub fn raw_engine() -> Result<()> {
    armed()?;
    let disk = fixture::memory_disk("raw-engine", 48)?;
    configure(
        "91-raw.toml",
        &format!(
            "raw_devices = [\"{}\"]\n[engines]\nnames = [\"rawdb\"]\n",
            disk.path()
        ),
    )?;
    reload()?;
    guard::wait_guarded(&disk.node)?;
    let script = "cp /bin/busybox $DIR/rawdb; bash -c 'exec -a dd $DIR/rawdb if=$DIR/junk64k of=$D bs=64k conv=fsync'";
    let before = Snapshot::take(&disk)?;
    let mark = audit::mark();
    let result = Script::new(script)
        .with("DIR", SCRATCH)
        .with("D", disk.path())
        .must()
        .context("the engine on its own raw device");
    let changed = before.changed()?.0;
    let refused = write::pwrite(&disk.node).is_err();
    let same_name =
        Script::new("bash -c 'exec -a rawdb dd if=$DIR/junk64k of=$D bs=64k conv=fsync'")
            .with("DIR", SCRATCH)
            .with("D", disk.path())
            .run()?;
    shell::must("rm /etc/dbguard/conf.d/91-raw.toml")?;
    apply()?;
    result?;
    ensure!(changed > 0, "the engine's write had no effect");
    ensure!(refused, "a write by somebody else SUCCEEDED");
    ensure!(
        !same_name.succeeded(),
        "a write under the engine's argv[0] alone SUCCEEDED"
    );
    audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write"]).map(drop)
}

/// Command lines and the exit codes that scripts rely on.
const LINES: &[(&str, i32)] = &[
    ("", 64),
    ("--no-such-option", 64),
    ("no-such-verb", 64),
    ("status --no-such-option", 64),
    ("mark", 64),
    ("mark --pid x", 64),
    ("mark --device /dev/no-such-device", 66),
    ("mark --data /no/such/directory", 66),
    ("check --no-such-option", 3),
    ("check --for no-such-op /dev/null", 3),
    ("check /dev/no-such-device", 3),
    ("check --quiet /dev/disk/by-role/data", 2),
    ("check /dev/disk/by-role/data-part1", 2),
    ("why E-", 64),
    ("why nonsense", 66),
    ("audit tail -n x", 64),
    ("config show", 0),
    ("config check", 0),
    ("--version", 0),
    ("--help", 0),
    ("devices --json", 0),
    ("audit tail -n 3 --json", 0),
];

pub fn bad_command_lines() -> Result<()> {
    armed()?;
    let mut wrong = Vec::new();
    for (line, code) in LINES {
        let output = guard::cli(line)?;
        if output.code != Some(*code) {
            wrong.push(format!(
                "`dbguard {line}` ended with {:?}, not {code}",
                output.code
            ));
        }
        if *code != 0 && output.text.trim().is_empty() && !line.contains("--quiet") {
            wrong.push(format!("`dbguard {line}` says nothing"));
        }
    }
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups dbguard";
    for (verb, code) in [("mark --data /var", 77), ("run", 77)] {
        let output = shell::run(&format!("{nobody} {verb}"))?;
        if output.code != Some(code) {
            wrong.push(format!(
                "`{verb}` by nobody ended with {:?}: {}",
                output.code,
                output.tail()
            ));
        }
    }
    let pipe = shell::run("bash -c 'dbguard devices | head -1; [ ${PIPESTATUS[0]} = 0 ]'")?;
    if !pipe.succeeded() {
        wrong.push("a broken pipe is an error".into());
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// An order that cannot be understood is not obeyed by half: the old one stays, or nothing starts,
/// and what is loaded goes on refusing.
pub fn bad_configuration() -> Result<()> {
    armed()?;
    configure("99-bad.toml", "mode = \"enforce\"\nno_such_key = 1\n")?;
    let result = with_bad_configuration();
    shell::must("rm -f /etc/dbguard/conf.d/99-bad.toml")?;
    guard::start_controller()?;
    result?;
    guard::must_be_armed()
}

fn with_bad_configuration() -> Result<()> {
    let check = guard::cli("config check")?;
    ensure!(
        check.code == Some(78),
        "config check ended with {:?}: {}",
        check.code,
        check.text
    );
    for word in ["99-bad.toml", "no_such_key"] {
        ensure!(
            check.text.contains(word),
            "the error does not name {word}: {}",
            check.text
        );
    }
    reload()?;
    ensure!(
        guard::controller_pid()? != 0,
        "the controller died of a bad configuration"
    );
    data_is_refused_in("armed").context("after a reload with a bad configuration")?;
    let status = guard::cli("status")?;
    ensure!(
        !status.succeeded(),
        "status ends with 0 although the configuration is bad"
    );
    // A restart with it does not start, says why, and opens nothing.
    shell::run("systemctl restart dbguard.service; sleep 2")?;
    let partition = Disk::role("data")?.partition(1)?;
    ensure!(
        write::pwrite(&partition.node).is_err()
            && ioctl::zero_out_read_only(&partition.node).is_err(),
        "a write SUCCEEDED while the controller does not start"
    );
    let run = Script::new("timeout 10 dbguard run").run()?;
    ensure!(
        run.code == Some(78),
        "dbguard run ended with {:?}: {}",
        run.code,
        run.text
    );
    let status = guard::cli("status")?;
    ensure!(
        !status.succeeded(),
        "status ends with 0 although the controller does not run"
    );
    Ok(())
}
