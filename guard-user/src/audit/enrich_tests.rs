use super::*;
use guard_abi::{
    ANCESTORS, ARGV_BYTES, Ancestor as EventAncestor, EXE_NAME_BYTES, TASK_COMM_BYTES,
};
use proptest::prelude::*;

fn bytes<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

pub(crate) fn event() -> DenialEvent {
    let mut ancestors = [EventAncestor {
        pid: 0,
        comm: [0; TASK_COMM_BYTES],
    }; ANCESTORS];
    ancestors[0] = EventAncestor {
        pid: 70,
        comm: bytes(b"bash"),
    };
    DenialEvent {
        boot_ns: 5_000_000_000,
        start_boot_ns: 4_990_000_007,
        cgroup_id: 1,
        exe_ino: 42,
        exe_dev: dev::make(8, 1),
        cpu: 1,
        dev: dev::make(259, 1),
        device_flags: 3,
        cmd: 0,
        open_flags: 1,
        pid: 77,
        tid: 78,
        uid: 0,
        euid: 0,
        auid: UNSET,
        session: UNSET,
        tty: dev::make(136, 3),
        grant: 0,
        reserved: 0,
        decision: 1,
        reason: 1,
        hook: 1,
        op: 1,
        device_kind: 0,
        device_class: 2,
        opcode: 0,
        has_opcode: 0,
        argv_bytes: 19,
        argv_state: 0,
        object_ino: 0,
        object_fs: 0,
        object_names: [[0; 28]; guard_abi::OBJECT_NAMES],
        comm: bytes(b"wipefs"),
        exe_name: bytes::<EXE_NAME_BYTES>(b"wipefs"),
        ancestors,
        argv: bytes::<ARGV_BYTES>(b"wipefs\0-a\0/dev/sda\0"),
    }
}

fn tree(stat_ticks: u64) -> (tempfile::TempDir, Sources) {
    let root = tempfile::tempdir().expect("a directory");
    let pid = root.path().join("proc/77");
    fs::create_dir_all(&pid).expect("made");
    fs::create_dir_all(root.path().join("etc")).expect("made");
    fs::write(root.path().join("etc/passwd"), "root:x:0:0::/:/\n").expect("written");
    let zeros = ["0"; 18].join(" ");
    fs::write(
        pid.join("stat"),
        format!("77 (wipe) fs)) S {zeros} {stat_ticks} 0\n"),
    )
    .expect("written");
    fs::write(
        pid.join("environ"),
        b"A=1\0SSH_CONNECTION=10.1.2.3 5555 10.0.0.1 22\0",
    )
    .expect("written");
    fs::write(
        pid.join("cgroup"),
        "0::/user.slice/user-0.slice/session-3.scope\n",
    )
    .expect("written");
    std::os::unix::fs::symlink("/srv/run", pid.join("cwd")).expect("linked");
    std::os::unix::fs::symlink("/usr/sbin/wipefs", pid.join("exe")).expect("linked");
    let sources = Sources {
        proc: root.path().join("proc"),
        root: root.path().to_owned(),
        sys: root.path().join("sys"),
    };
    (root, sources)
}

#[test]
fn a_process_that_is_still_there() {
    let (_root, sources) = tree(499);
    let event = event();
    let denial = denial(&sources, &event, object(&event), Vec::new());
    assert_eq!(denial.decision, "deny");
    assert_eq!(denial.open.as_deref(), Some("O_WRONLY"));
    assert_eq!(denial.object.dev, "259:1");
    assert_eq!(denial.object.class, "protected");
    let process = denial.process;
    assert_eq!(process.exe, "/usr/sbin/wipefs");
    assert_eq!(process.argv, ["wipefs", "-a", "/dev/sda"]);
    assert_eq!(process.cwd.as_deref(), Some("/srv/run"));
    assert_eq!(process.user.as_deref(), Some("root"));
    assert_eq!(
        (process.auid, process.login.as_str()),
        (None, "no login session")
    );
    assert_eq!(process.tty.as_deref(), Some("/dev/pts/3"));
    assert_eq!(process.ssh_peer.as_deref(), Some("10.1.2.3 5555"));
    assert_eq!(process.unit.as_deref(), Some("session-3.scope"));
    assert_eq!(
        process.ancestors,
        [Ancestor {
            pid: 70,
            comm: "bash".into()
        }]
    );
}

#[test]
fn another_process_with_the_same_id() {
    let (_root, sources) = tree(500);
    let event = event();
    let process = denial(&sources, &event, object(&event), Vec::new()).process;
    assert_eq!(process.exe, "wipefs");
    assert_eq!(
        (process.cwd, process.ssh_peer, process.cgroup),
        (None, None, None)
    );
}

#[test]
fn repeated_acts() {
    let one = event();
    let later = DenialEvent {
        boot_ns: 6_000_000_000,
        cpu: 0,
        tid: 80,
        ..one
    };
    assert!(same_act(&one, &later));
    assert!(!same_act(&one, &DenialEvent { dev: 1, ..one }));
    assert!(!same_act(&one, &DenialEvent { cmd: 1, ..one }));
    assert!(!same_act(
        &one,
        &DenialEvent {
            argv: [1; ARGV_BYTES],
            ..one
        }
    ));
}

#[test]
fn containers_and_units() {
    let id = "ab".repeat(32);
    for cgroup in [
        format!("/system.slice/docker-{id}.scope"),
        format!("/kubepods.slice/cri-containerd-{id}.scope/x"),
        format!("/docker/{id}"),
        format!("/machine.slice/libpod-{id}.scope/container"),
    ] {
        assert_eq!(container(&cgroup).as_deref(), Some(id.as_str()), "{cgroup}");
    }
    assert_eq!(
        container("/machine.slice/systemd-nspawn@db.service/payload").as_deref(),
        Some("db")
    );
    assert_eq!(container("/system.slice/mariadb.service"), None);
    assert_eq!(
        unit("/system.slice/mariadb.service").as_deref(),
        Some("mariadb.service")
    );
    assert_eq!(unit("/user.slice"), None);
}

proptest! {
    /// Whatever the bytes of an event, it becomes a record that can be written and read back.
    #[test]
    fn any_event_is_recorded(seed in prop::collection::vec(any::<u8>(), size_of::<DenialEvent>())) {
        let mut event = std::mem::MaybeUninit::<DenialEvent>::uninit();
        // SAFETY: `repr(C)` of integers without padding, so any bytes are a valid value; the
        // vector has its length.
        let event = unsafe {
            std::ptr::copy_nonoverlapping(seed.as_ptr(), event.as_mut_ptr().cast::<u8>(), seed.len());
            event.assume_init()
        };
        let sources =
            Sources { proc: "/nonexistent".into(), root: "/nonexistent".into(), sys: "/nonexistent".into() };
        let denial = denial(&sources, &event, object(&event), Vec::new());
        let line = serde_json::to_string(&denial).expect("JSON");
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<Denial>(&line).expect("reads back"), denial);
    }
}

#[test]
fn numbers_of_devices_are_read() {
    assert_eq!(dev_of_text("259:1"), Some(dev::make(259, 1)));
    for text in ["", "259", "259:", ":1", "a:b", "none"] {
        assert_eq!(dev_of_text(text), None, "{text}");
    }
}
