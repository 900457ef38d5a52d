//! From a kernel event to the facts of a record. The event itself says what the kernel saw; `/proc`
//! adds what can still be read of a process that may be gone by now. A process id that was given
//! to another process in between is told by its start time.

use std::ffi::CStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use guard_abi::{
    CMDLINE_PARTIAL, Decision, DenialEvent, DeviceClass, FileAct, Hook, OPEN_FLAGS_UNKNOWN,
    ObjectKind, Op, Reason, dev,
};

use super::denial::{
    Ancestor, Command, Database, Denial, EventKey, GrantUsed, NO_LOGIN, Object, Process,
};
use super::{names, time};
use crate::grant::grant_id;

/// The number that stands for "no login session" (include/linux/uidgid.h `INVALID_UID`,
/// include/linux/audit.h `AUDIT_SID_UNSET`).
const UNSET: u32 = u32::MAX;
/// `/proc/PID/stat` counts in ticks of this many a second (`USER_HZ`) on every architecture that
/// dbguard is built for.
const TICKS: u64 = 100;

/// Where facts about processes come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/`, for `etc/passwd`.
    pub root: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
}

impl Sources {
    /// Those of this host.
    pub fn host() -> Self {
        Self {
            proc: "/proc".into(),
            root: "/".into(),
            sys: "/sys".into(),
        }
    }

    fn of(&self, pid: u32) -> PathBuf {
        self.proc.join(pid.to_string())
    }
}

/// The name of an event.
pub fn key(event: &DenialEvent) -> EventKey {
    EventKey(event.boot_ns, event.cpu, event.tid)
}

/// True where two events are the same act done again: same process, operation, object, command.
pub fn same_act(one: &DenialEvent, other: &DenialEvent) -> bool {
    let act = |event: &DenialEvent| {
        (
            (event.pid, event.start_boot_ns, event.exe_ino, event.exe_dev),
            (
                event.device_kind,
                event.dev,
                event.device_class,
                event.device_flags,
            ),
            (
                event.op,
                event.decision,
                event.reason,
                event.hook,
                event.grant,
            ),
            (event.cmd, event.open_flags, event.has_opcode, event.opcode),
            (event.object_fs, event.object_ino, event.object_names),
            event.argv,
        )
    };
    act(one) == act(other)
}

/// The facts of one event. The object's further facts and the databases are the caller's.
pub fn denial(
    sources: &Sources,
    event: &DenialEvent,
    object: Object,
    database: Vec<Database>,
) -> Denial {
    let is_file = event.device_kind == ObjectKind::File as u8;
    let open = opened(event);
    let is_command = event.cmd != 0 || open.is_none();
    let act = u8::try_from(event.cmd).unwrap_or(0);
    Denial {
        decision: word(event.decision, Decision::from_u8, Decision::as_str),
        reason: word(event.reason, Reason::from_u8, Reason::as_str),
        hook: word(event.hook, Hook::from_u8, Hook::as_str),
        op: word(event.op, Op::from_u8, Op::as_str),
        object,
        process: process(sources, event),
        database,
        act: is_file.then(|| word(act, FileAct::from_u8, FileAct::as_str)),
        command: (is_command && !is_file).then(|| Command {
            number: event.cmd,
            hex: format!("{:#06x}", event.cmd),
            name: if event.device_kind == ObjectKind::System as u8 {
                names::system_call(event.cmd)
            } else {
                names::command(event.cmd)
            }
            .map(str::to_owned),
            opcode: (event.has_opcode != 0).then_some(event.opcode),
        }),
        open,
        grant: (event.grant != 0).then(|| GrantUsed {
            id: grant_id(event.grant),
            signers: Vec::new(),
            incident: None,
        }),
        count: 1,
        key: key(event),
        repeats: Vec::new(),
    }
}

/// How a device was opened; `None` where it was not.
fn opened(event: &DenialEvent) -> Option<String> {
    // What was opened before is known by how, too.
    let by_file = [
        Hook::FileOpen,
        Hook::FilePermission,
        Hook::MmapFile,
        Hook::FileMprotect,
    ];
    if by_file.iter().any(|hook| event.hook == *hook as u8) {
        return Some(names::open_flags(event.open_flags));
    }
    if event.hook != Hook::CgroupDevice as u8 {
        return None;
    }
    Some(if event.op == Op::Remap as u8 {
        "for writing, by the kernel on the program's behalf".to_owned()
    } else if event.open_flags == OPEN_FLAGS_UNKNOWN {
        "for writing".to_owned()
    } else {
        names::open_flags(event.open_flags)
    })
}

/// What the event itself says of its object.
pub fn object(event: &DenialEvent) -> Object {
    let number = dev_text(event.dev);
    let name = match ObjectKind::from_u8(event.device_kind) {
        Some(ObjectKind::File) => file_path(event),
        Some(ObjectKind::System) => "the running system".to_owned(),
        _ => number.clone(),
    };
    if event.device_kind >= ObjectKind::File as u8 {
        return Object {
            kind: word(event.device_kind, ObjectKind::from_u8, ObjectKind::as_str),
            name,
            dev: number,
            class: "protected".to_owned(),
            why: what_it_is(event).into_iter().map(str::to_owned).collect(),
            ..Object::default()
        };
    }
    Object {
        kind: word(event.device_kind, ObjectKind::from_u8, ObjectKind::as_str),
        name,
        dev: number,
        class: word(
            event.device_class,
            DeviceClass::from_u8,
            DeviceClass::as_str,
        ),
        flags: names::device_flags(event.device_flags),
        ..Object::default()
    }
}

/// What a file is, in words that follow "it is".
fn what_it_is(event: &DenialEvent) -> Option<&'static str> {
    match (Op::from_u8(event.op), Reason::from_u8(event.reason)) {
        (Some(Op::BootFile), _) => Some("what this machine boots from"),
        (Some(Op::Detach), Some(Reason::ProtectedFile | Reason::Notable))
            if event.device_kind == ObjectKind::File as u8 =>
        {
            Some("where a running database keeps its data, or on the way there")
        }
        _ => None,
    }
}

/// Path of a file from the root of its file system, as far as the event has its names.
pub fn file_path(event: &DenialEvent) -> String {
    let mut path = String::new();
    let mut whole = false;
    for name in event.object_names.iter().map(|name| text(name)) {
        if name == "/" {
            whole = true;
            break;
        }
        if name.is_empty() {
            break;
        }
        path = if path.is_empty() {
            name
        } else {
            format!("{name}/{path}")
        };
    }
    if whole {
        format!("/{path}")
    } else {
        format!("…/{path}")
    }
}

/// `major:minor` of a dev_t in kernel form.
pub fn dev_text(number: u32) -> String {
    format!("{}:{}", dev::major(number), dev::minor(number))
}

/// The way back from [`dev_text`].
pub fn dev_of_text(text: &str) -> Option<u32> {
    let (major, minor) = text.split_once(':')?;
    Some(dev::make(major.parse().ok()?, minor.parse().ok()?))
}

fn word<T>(number: u8, from: fn(u8) -> Option<T>, text: fn(T) -> &'static str) -> String {
    from(number).map_or_else(
        || format!("unknown-{number}"),
        |value| text(value).to_owned(),
    )
}

fn process(sources: &Sources, event: &DenialEvent) -> Process {
    let directory = sources.of(event.pid);
    let alive = start_ns(&directory).is_some_and(|start| same_start(start, event.start_boot_ns));
    let link = |name: &str| {
        let target = fs::read_link(directory.join(name)).ok().filter(|_| alive)?;
        Some(String::from_utf8_lossy(target.as_os_str().as_bytes()).into_owned())
    };
    let ancestors = ancestors(event);
    let cgroup = alive.then(|| cgroup(&directory)).flatten().or_else(|| {
        // The cgroup outlives the process as a rule; its parent shares it as a rule.
        ancestors
            .first()
            .and_then(|parent| cgroup(&sources.of(parent.pid)))
    });
    let exe_name = text(&event.exe_name);
    let auid = (event.auid != UNSET).then_some(event.auid);
    Process {
        pid: event.pid,
        tid: event.tid,
        start_boot_ns: event.start_boot_ns,
        comm: text(&event.comm),
        exe: link("exe")
            .filter(|path| path.contains(&exe_name))
            .unwrap_or(exe_name),
        exe_ino: event.exe_ino,
        exe_dev: dev_text(event.exe_dev),
        argv: argv(event),
        argv_truncated: event.argv_state & CMDLINE_PARTIAL != 0,
        cwd: link("cwd"),
        uid: event.uid,
        euid: event.euid,
        user: names::user(&sources.root, event.uid),
        auid,
        login: login(sources, auid),
        session: (event.session != UNSET).then_some(event.session),
        tty: tty_name(sources, event.tty),
        ssh_peer: ssh_peer(sources, alive.then_some(event.pid), &ancestors),
        unit: cgroup.as_deref().and_then(unit),
        container: cgroup.as_deref().and_then(container),
        cgroup,
        ancestors,
    }
}

/// A process as `/proc` shows it now, if it is still the one that was started then (to the tick).
pub fn process_of(sources: &Sources, pid: u32, start_ns: u64) -> Process {
    let directory = sources.of(pid);
    let mut process = Process {
        pid,
        tid: pid,
        start_boot_ns: start_ns,
        login: NO_LOGIN.to_owned(),
        ..Process::default()
    };
    if self::start_ns(&directory) != Some(start_ns) {
        return process;
    }
    let read = |name: &str| fs::read(directory.join(name)).unwrap_or_default();
    let words = |name: &str| String::from_utf8_lossy(&read(name)).trim().to_owned();
    process.comm = words("comm");
    process.exe = fs::read_link(directory.join("exe")).map_or_else(
        |_| process.comm.clone(),
        |path| String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned(),
    );
    let mut argv = read("cmdline");
    argv.truncate(guard_abi::ARGV_BYTES);
    process.argv = argv
        .split(|&byte| byte == 0)
        .filter(|argument| !argument.is_empty())
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    if let Ok(metadata) = fs::metadata(&directory) {
        process.uid = metadata.uid();
        process.euid = metadata.uid();
        process.user = names::user(&sources.root, process.uid);
    }
    process.auid = words("loginuid").parse().ok().filter(|auid| *auid != UNSET);
    process.login = login(sources, process.auid);
    process.tty = crate::session::tty_of(&words("stat"));
    process.cgroup = cgroup(&directory);
    process.unit = process.cgroup.as_deref().and_then(unit);
    process.container = process.cgroup.as_deref().and_then(container);
    process
}

/// The login user's name, or that there is none.
pub fn login(sources: &Sources, auid: Option<u32>) -> String {
    match auid {
        None => NO_LOGIN.to_owned(),
        Some(auid) => names::user(&sources.root, auid).unwrap_or_else(|| auid.to_string()),
    }
}

fn ancestors(event: &DenialEvent) -> Vec<Ancestor> {
    event
        .ancestors
        .iter()
        .take_while(|ancestor| ancestor.pid != 0)
        .map(|ancestor| Ancestor {
            pid: ancestor.pid,
            comm: text(&ancestor.comm),
        })
        .collect()
}

fn argv(event: &DenialEvent) -> Vec<String> {
    let used = usize::from(event.argv_bytes).min(event.argv.len());
    let bytes = &event.argv[..used];
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes
        .split(|&byte| byte == 0)
        .map(|arg| String::from_utf8_lossy(arg).into_owned())
        .collect()
}

fn text(bytes: &[u8]) -> String {
    CStr::from_bytes_until_nul(bytes)
        .map_or(String::from_utf8_lossy(bytes), CStr::to_string_lossy)
        .into_owned()
}

/// When the process behind a `/proc/PID` directory was started, ns of CLOCK_BOOTTIME, to the tick.
pub fn start_ns(directory: &Path) -> Option<u64> {
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    // proc_pid_stat(5): field 22, counted behind the parenthesised name that may hold anything.
    let ticks: u64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    Some(ticks * (time::NANOS / TICKS))
}

/// True where a start time of `/proc` (whole ticks) and one of the kernel half are the same.
fn same_start(ticks_ns: u64, exact_ns: u64) -> bool {
    ticks_ns / (time::NANOS / TICKS) == exact_ns / (time::NANOS / TICKS)
}

/// Device path of a controlling terminal. `pts` of a container may have the same number.
pub fn tty_name(sources: &Sources, tty: u32) -> Option<String> {
    /// Documentation/admin-guide/devices.txt: 136 to 143 are Unix98 pseudo-terminals.
    const PTS: std::ops::RangeInclusive<u32> = 136..=143;
    if tty == 0 {
        return None;
    }
    let (major, minor) = (dev::major(tty), dev::minor(tty));
    if PTS.contains(&major) {
        return Some(format!("/dev/pts/{}", (major - PTS.start()) * 256 + minor));
    }
    let uevent = sources.sys.join(format!("dev/char/{major}:{minor}/uevent"));
    let name = fs::read_to_string(uevent).ok().and_then(|text| {
        text.lines()
            .find_map(|line| Some(line.strip_prefix("DEVNAME=")?.to_owned()))
    });
    Some(name.map_or_else(|| format!("{major}:{minor}"), |name| format!("/dev/{name}")))
}

/// `client port` of the SSH connection that the process or an ancestor was started by.
pub fn ssh_peer(sources: &Sources, pid: Option<u32>, ancestors: &[Ancestor]) -> Option<String> {
    pid.into_iter()
        .chain(ancestors.iter().map(|ancestor| ancestor.pid))
        .find_map(|pid| {
            let environment = fs::read(sources.of(pid).join("environ")).ok()?;
            environment.split(|&byte| byte == 0).find_map(|variable| {
                let value = variable.strip_prefix(b"SSH_CONNECTION=")?;
                // ssh(1): client address, client port, server address, server port.
                let text = String::from_utf8_lossy(value);
                let mut words = text.split(' ');
                Some(format!("{} {}", words.next()?, words.next()?))
            })
        })
}

/// The cgroup v2 path, or that of systemd's own hierarchy.
fn cgroup(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join("cgroup")).ok()?;
    let path_after = |prefix: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(prefix))
            .map(str::to_owned)
    };
    path_after("0::").or_else(|| {
        text.lines()
            .find_map(|line| Some(line.split_once(":name=systemd:")?.1.to_owned()))
    })
}

/// The innermost systemd unit of a cgroup path.
pub fn unit(cgroup: &str) -> Option<String> {
    cgroup
        .rsplit('/')
        .find(|part| {
            [".service", ".scope", ".socket", ".mount", ".swap"]
                .iter()
                .any(|end| part.ends_with(end))
        })
        .map(str::to_owned)
}

/// The container id in a cgroup path: 64 hexadecimal digits, or an nspawn machine's name.
pub fn container(cgroup: &str) -> Option<String> {
    cgroup.split('/').find_map(|part| {
        let plain = part
            .strip_suffix(".scope")
            .or(part.strip_suffix(".service"))
            .unwrap_or(part);
        if let Some(machine) = plain
            .strip_prefix("systemd-nspawn@")
            .or(plain.strip_prefix("machine-"))
        {
            return Some(machine.to_owned());
        }
        let id = plain.rsplit(['-', ':']).next()?;
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
    })
}

#[cfg(test)]
#[path = "enrich_tests.rs"]
pub(crate) mod tests;
