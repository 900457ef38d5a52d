//! Devices that were opened for writing before that would have been refused: whatever holds the
//! open file, nothing is written through it, everybody is told, and once the last one is gone reads
//! and writes cost nothing again.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::fixture::{self, Shared};
use super::hoststate;
use crate::acts::SCRATCH;
use crate::harness::case::Case;
use crate::harness::disk::{Disk, until};
use crate::harness::run::say;
use crate::harness::shell::{self, Script};
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, db, guard};

/// Ways that end in a refused write. Names are those of `guest-suite --hold`.
const REFUSED: &[&str] = &[
    "pwrite",
    "sendfile",
    "splice",
    "aio-direct",
    "zero-range",
    "discard",
    "map-later",
    "mapped-for-reading",
    "executed",
    "in-flight",
    "thread",
    "registered",
    "container",
];
/// Those of them that depend on the kernel: tried on every configuration.
const BY_THE_KERNEL: &[&str] = &["pwrite", "splice", "map-later", "in-flight", "registered"];
/// Those of them where nobody can tell which device it is, if any: whoever looks meanwhile has the
/// writes judged.
const HIDDEN: &[&str] = &["in-flight", "registered"];
/// The one whose process is stopped instead.
const MAPPED: &str = "mapped";

/// A process that holds a device open, see [`crate::native::hold`].
struct Held {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Held {
    fn start(way: &str, node: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        if way == "container" {
            // A mount namespace of its own, where the node has another name.
            let script = format!(
                "mount -t tmpfs none {SCRATCH}; mknod {SCRATCH}/other b $(stat -c '0x%t 0x%T' {}); \
                 exec {} --hold pwrite {SCRATCH}/other",
                node.display(),
                program.display()
            );
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &script]);
            return Self::run(command);
        }
        Self::run_program(&program, way, node)
    }

    fn run_program(program: &Path, way: &str, node: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--hold", way]).arg(node);
        Self::run(command)
    }

    fn run(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a holder")?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut held = Self {
            child,
            input,
            output,
        };
        let line = held.line()?;
        ensure!(line == "ready", "a holder said `{line}`");
        Ok(held)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("listening")?;
        Ok(line.trim_end().to_owned())
    }

    fn tell(&mut self, word: &str) -> Result<()> {
        writeln!(self.input, "{word}").context("telling a holder")
    }

    fn ask(&mut self, word: &str) -> Result<String> {
        self.tell(word)?;
        self.line()
    }

    /// It tries to write, and must be able to.
    fn writes(&mut self) -> Result<()> {
        let answer = self.ask("go")?;
        ensure!(answer == "wrote", "a write that is allowed: {answer}");
        Ok(())
    }

    /// It tries to write, and must be refused.
    fn is_refused(&mut self) -> Result<()> {
        let answer = self.ask("go")?;
        ensure!(answer != "wrote", "THE WRITE SUCCEEDED");
        ensure!(answer.starts_with("refused 1 "), "not EPERM: {answer}");
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Holders = Arc<Mutex<HashMap<&'static str, Held>>>;

fn with<T>(
    holders: &Shared<Holders>,
    way: &str,
    act: impl FnOnce(&mut Held) -> Result<T>,
) -> Result<T> {
    let holders = holders.get()?;
    let mut holders = holders.lock().unwrap_or_else(PoisonError::into_inner);
    act(holders.get_mut(way).context("no such holder")?)
}

/// The cases.
pub fn cases() -> Vec<Case> {
    let holders: Shared<Holders> = Shared::default();
    let before: Shared<Snapshot> = Shared::default();
    let mut cases = vec![{
        let (holders, before) = (holders.clone(), before.clone());
        Case::prepare("prepare", move || {
            guard::must_be_armed()?;
            fixture::load_modules()?;
            crate::acts::prepare_scratch()?;
            db::prepare()?;
            prepare(&holders, &before)
        })
    }];
    for way in REFUSED {
        let (holders, before) = (holders.clone(), before.clone());
        let case = Case::test(*way, move || refused(&holders, &before, way));
        cases.push(if BY_THE_KERNEL.contains(way) {
            case
        } else {
            case.once()
        });
    }
    let again = (holders.clone(), before.clone());
    cases.extend([
        Case::test(MAPPED, move || stopped(&again.0, &again.1)),
        Case::test("status-tells", status_tells),
        Case::test("database-goes-on", || {
            ensure!(db::answers(), "the database does not answer");
            db::checksum().map(drop)
        }),
        Case::test("controller-killed", controller_killed)
            .limit(120)
            .once(),
        Case::test("let-go", move || let_go(&holders, &before)).limit(150),
        Case::test("sg-write", sg_write).limit(120).once(),
        Case::test("servers-own-device", servers_own_device)
            .limit(150)
            .once(),
        Case::test("armed-without-a-window", armed_without_a_window)
            .limit(240)
            .once(),
        Case::clean_up("armed-again", hoststate::armed),
    ]);
    cases
}

/// New devices come with a storm of others in this guest.
fn wait_free(disk: &Disk) -> Result<()> {
    (0..4)
        .find_map(|_| guard::wait_free(&disk.node).ok())
        .map_or_else(|| guard::wait_free(&disk.node), Ok)
}

fn disk() -> Result<Disk> {
    fixture::memory_disk("open-before", 48)
}

/// Every way works on a free disk; then the disk is held in every way and marked.
fn prepare(holders: &Shared<Holders>, before: &Shared<Snapshot>) -> Result<()> {
    let disk = disk()?;
    wait_free(&disk)?;
    let ways = REFUSED.iter().copied().chain([MAPPED]);
    for way in ways.clone() {
        let empty = Snapshot::take(&disk)?;
        Held::start(way, &disk.node)
            .and_then(|mut held| held.writes())
            .with_context(|| format!("{way}, on a free disk"))?;
        ensure!(
            empty.changed()?.0 > 0,
            "{way}: nothing was written to a free disk: the case proves nothing"
        );
        shell::must(&format!(
            "dd if=/dev/urandom of={} bs=64k count=2 conv=fsync",
            disk.path()
        ))?;
    }
    let mut started = HashMap::new();
    let (hidden, plain): (Vec<&str>, Vec<&str>) = ways.partition(|way| HIDDEN.contains(way));
    for way in plain {
        started.insert(way, Held::start(way, &disk.node)?);
    }
    before.set(Snapshot::take(&disk)?);
    wait_detached()?;
    for way in hidden {
        started.insert(way, Held::start(way, &disk.node)?);
    }
    guard::mark_device(&disk.node)?;
    holders.set(Arc::new(Mutex::new(started)));
    Ok(())
}

/// The programs that judge writes are attached.
fn attached() -> Result<bool> {
    let list = shell::must("ls /sys/fs/bpf/dbguard/links/*/on_demand")?;
    Ok(list.contains("file_permission"))
}

fn refused(holders: &Shared<Holders>, before: &Shared<Snapshot>, way: &str) -> Result<()> {
    let (disk, mark) = (disk()?, audit::mark());
    let pid = with(holders, way, |held| {
        held.is_refused()?;
        Ok(held.child.id())
    });
    before.get()?.unchanged().context("THE WRITE SUCCEEDED")?;
    let pid = pid?;
    let record = audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write", "discard"])?;
    ensure!(
        record.number("/process/pid") == u64::from(pid),
        "another was refused: {}",
        record.brief()
    );
    let found = told("found", pid)?;
    let device = found.text("/dev");
    // What waits in a socket or is registered cannot always be told.
    ensure!(
        device == disk.numbers()? || (HIDDEN.contains(&way) && device.is_empty()),
        "the record says {device:?}"
    );
    ensure!(
        !found.text("/how").is_empty() && !found.text("/since").is_empty(),
        "the record does not say how or since when: {}",
        found.0
    );
    Ok(())
}

/// The record about a holder, whenever it was written.
fn told(change: &str, pid: u32) -> Result<audit::Record> {
    until(Duration::from_secs(15), || {
        Ok(record_of(change, pid)?.is_some())
    })
    .with_context(|| format!("no record that process {pid} was {change}"))?;
    record_of(change, pid)?.context("the record is gone")
}

fn record_of(change: &str, pid: u32) -> Result<Option<audit::Record>> {
    let wanted = |record: &audit::Record| {
        record.is_kind("descriptor")
            && record.text("/change") == change
            && record.number("/pid") == u64::from(pid)
    };
    Ok(audit::all()?.into_iter().rev().find(wanted))
}

/// A store has no hook: who can make one is stopped before it does.
fn stopped(holders: &Shared<Holders>, before: &Shared<Snapshot>) -> Result<()> {
    let pid = with(holders, MAPPED, |held| {
        held.tell("go")?;
        Ok(held.child.id())
    })?;
    told("stopped", pid)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading its state")?;
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    ensure!(state.starts_with('T'), "it was not stopped: {stat}");
    before.get()?.unchanged().context("THE STORE SUCCEEDED")?;
    let problems = guard::status()?.get("problems").map(Value::to_string);
    ensure!(
        problems.is_some_and(|text| text.contains(&pid.to_string())),
        "status does not tell of the mapping"
    );
    Ok(())
}

fn status_tells() -> Result<()> {
    let disk = disk()?;
    let status = guard::status()?;
    let held = status.get("held_open").and_then(Value::as_array);
    let of_disk = held.map_or(0, |held| {
        let name = Some(disk.name.as_str());
        held.iter()
            .filter(|one| one.get("device").and_then(Value::as_str) == name)
            .count()
    });
    ensure!(of_disk >= 10, "status tells of {of_disk} holders: {status}");
    let text = guard::cli("status")?.text;
    ensure!(text.contains("writes are refused"), "status prints {text}");
    Ok(())
}

/// Without a controller writes stay refused; the next one goes on where it was.
fn controller_killed() -> Result<()> {
    shell::must("systemctl kill -s KILL dbguard.service; sleep 0.2")?;
    ensure!(attached()?, "a killed controller lets writes pass");
    guard::start_controller()?;
    ensure!(attached()?, "a new controller lets writes pass");
    Ok(())
}

fn let_go(holders: &Shared<Holders>, before: &Shared<Snapshot>) -> Result<()> {
    ensure!(attached()?, "writes are not judged");
    {
        let holders = holders.get()?;
        holders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
    wait_detached()?;
    before.get()?.unchanged()?;
    ensure!(db::answers(), "the database does not answer");
    // The next memory disk may get its node.
    Script::new("dbguard release $D --confirm-host \"$(uname -n)\"")
        .with("D", disk()?.path())
        .must()?;
    fixture::drop_memory_disk("open-before")
}

fn wait_detached() -> Result<()> {
    // Before Linux 5.13 they cannot be attached again, and stay.
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    if release.starts_with("5.10.") {
        return Ok(());
    }
    until(Duration::from_secs(90), || Ok(!attached()?))
        .context("every write is judged although nobody holds a device any more")
}

/// `write(2)` to an sg node is a command.
fn sg_write() -> Result<()> {
    let disk = Disk::role("spare1")?;
    let node = disk.passthrough().sg.context("no sg node")?;
    // Suites before this one may have marked it.
    Script::new("dbguard release $D --confirm-host \"$(uname -n)\"")
        .with("D", disk.path())
        .run()?;
    wait_free(&disk)?;
    let mut held = Held::start("sg-write", &node)?;
    held.writes().context("on a free disk")?;
    guard::mark_device(&disk.node)?;
    until(Duration::from_secs(10), attached).context("writes are not judged")?;
    let before = Snapshot::take(&disk)?;
    let mark = audit::mark();
    let outcome = held.is_refused();
    before.unchanged()?;
    outcome?;
    audit::wait_refusal(mark, &[], &["passthrough"])?;
    drop(held);
    Script::new("dbguard release $D --confirm-host \"$(uname -n)\"")
        .with("D", disk.path())
        .must()?;
    wait_free(&disk)?;
    wait_detached()
}

/// A server goes on writing its raw device while somebody else's descriptor of it is closed off.
fn servers_own_device() -> Result<()> {
    let disk = fixture::memory_disk("raw-server", 48)?;
    wait_free(&disk)?;
    let mut foreign = Held::start("pwrite", &disk.node)?;
    let server = Path::new(SCRATCH).join("mysqld");
    fs::copy(std::env::current_exe().context("this program")?, &server).context("copying")?;
    let mut server = Held::run_program(&server, "aio-direct", &disk.node)?;
    guard::wait_guarded(&disk.node)?;
    until(Duration::from_secs(10), attached).context("writes are not judged")?;
    let mark = audit::mark();
    for _ in 0..20 {
        server.writes().context("the server itself")?;
    }
    audit::nothing_refused(mark)?;
    let before = Snapshot::take(&disk)?;
    let outcome = foreign.is_refused();
    before.unchanged().context("THE WRITE SUCCEEDED")?;
    outcome?;
    drop(foreign);
    wait_detached()?;
    server.writes()?;
    drop(server);
    // A memory disk has no identity by which it could be remembered.
    shell::must("sleep 1")?;
    fixture::drop_memory_disk("raw-server")
}

/// A descriptor from idle times is closed off by the very act that arms the host.
fn armed_without_a_window() -> Result<()> {
    hoststate::idle()?;
    let disk = hoststate::mounted_disk("window")?;
    let mut held = Held::start("pwrite", &disk.node)?;
    held.writes().context("on an idle host")?;
    until(Duration::from_secs(10), attached).context("an open on an idle host was not heard of")?;
    shell::must(&format!("cp $(command -v sleep) {SCRATCH}/mysqld"))?;
    let mark = audit::mark();
    held.tell("until-refused")?;
    std::thread::sleep(Duration::from_millis(300));
    let mut server = Command::new(format!("{SCRATCH}/mysqld"))
        .arg("60")
        .spawn()
        .context("starting a server")?;
    let line = held.line();
    let record = audit::wait(mark, "the start of the server", |record| {
        record.is_kind("process") && record.text("/change") == "started"
    });
    let _ = server.kill();
    let _ = server.wait();
    let armed = record?.number("/event_boot_ns");
    let line = line?;
    let numbers: Vec<u64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [last, refused, writes] = numbers[..] else {
        anyhow::bail!("the holder said `{line}`");
    };
    say(&format!(
        "# {writes} writes; the last ended {} us after the server's exec, the refusal {} us after it",
        (last.cast_signed() - armed.cast_signed()) / 1000,
        (refused.cast_signed() - armed.cast_signed()) / 1000,
    ));
    ensure!(writes > 0, "it could not write before");
    // One write may have been judged already when the server was executed.
    ensure!(
        last < armed + 20_000_000,
        "writes went on for {} us",
        (last - armed) / 1000
    );
    drop(held);
    shell::must("umount /mnt/window")?;
    fixture::drop_memory_disk("window")
}
