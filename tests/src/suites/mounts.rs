//! Where the running database's data is mounted: nobody covers it, moves it or takes it away under
//! the server. Other mount namespaces do as they like, and once the server has ended, so does the
//! host.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};

use super::fixture;
use super::legitimate::{Work, work};
use crate::harness::case::Case;
use crate::harness::disk::until;
use crate::harness::shell::{self, Script};
use crate::harness::{audit, db, guard};

/// Functions that the scripts share: the system calls of the newer mount API.
const NEW_API: &str = r#"
newapi() { python3 - "$@" <<'PY'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0: sys.exit(os.strerror(ctypes.get_errno()))
    return result
what, source, target = sys.argv[1], sys.argv[2].encode(), sys.argv[3].encode()
if what == 'clone': fd = call(428, -100, source, 1)
elif what == 'move': fd = call(428, -100, source, 0)
else:
    fs = call(430, source, 0); call(431, fs, 6, None, None, 0); fd = call(432, fs, 0, 0)
call(429, fd, b'', -100, target, 4)
PY
}
"#;

/// Acts that are refused: name and script. `$D` is the data directory, on a file system of its own;
/// `$UP` the directory above it. On a directory of no importance each does what it says.
const ACTS: &[(&str, &str)] = &[
    ("lazy-umount", "umount -l $D"),
    (
        "lazy-umount-by-system-call",
        "python3 -c 'import ctypes,sys; sys.exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), 2) != 0)' $D",
    ),
    ("covered-by-tmpfs", "mount -t tmpfs none $D"),
    (
        "covered-by-bind",
        "mkdir -p /mnt/empty; mount --bind /mnt/empty $D",
    ),
    (
        "covered-above",
        "mkdir -p /mnt/empty; mount --bind /mnt/empty $UP",
    ),
    ("covered-above-by-tmpfs", "mount -t tmpfs none $UP"),
    ("covered-by-new-mount", "newapi new tmpfs $D"),
    (
        "covered-by-new-clone",
        "mkdir -p /mnt/empty; newapi clone /mnt/empty $D",
    ),
    (
        "covered-by-relative-path",
        "cd $UP; mount -t tmpfs none ./$(basename $D)",
    ),
    ("moved", "mkdir -p /mnt/away; mount --move $D /mnt/away"),
    (
        "moved-by-new-call",
        "mkdir -p /mnt/away; newapi move $D /mnt/away",
    ),
];

/// In a mount namespace whose mounts are peers of the host's, so that the host has what is done there.
const PEERS: &[(&str, &str)] = &[
    (
        "lazy-umount-in-a-peer-namespace",
        "unshare -m --propagation unchanged umount -l $D",
    ),
    (
        "covered-in-a-peer-namespace",
        "unshare -m --propagation unchanged mount -t tmpfs none $D",
    ),
];

/// What is allowed while the server runs.
const WORK: &[Work] = &[
    work("data-bound-elsewhere", 60, "mkdir -p /mnt/see; mount --bind $D /mnt/see; [ -e /mnt/see/ibdata1 ]; umount /mnt/see; newapi clone $D /mnt/see; [ -e /mnt/see/ibdata1 ]; umount /mnt/see"),
    work("remounted", 60, "mount -o remount,rw $D; mount -o remount,rw,noatime $D"),
    work("other-mounts", 60, "mkdir -p /mnt/other /mnt/elsewhere; mount -t tmpfs none /mnt/other; mount -t tmpfs none /mnt/other; umount -l /mnt/other; umount /mnt/other; newapi new tmpfs /mnt/other; umount -f /mnt/other"),
    work(
        "private-mount-moved",
        60,
        "mkdir -p /mnt/p; mount -t tmpfs none /mnt/p; mount --make-private /mnt/p; mkdir /mnt/p/a /mnt/p/b; mount -t tmpfs none /mnt/p/a; mount --move /mnt/p/a /mnt/p/b; umount /mnt/p/b; umount /mnt/p",
    ),
    work("slave-namespace", 60, "unshare -m --propagation slave sh -c 'mount -t tmpfs none $D && umount -l $D && umount -l $D && mount --make-rshared / && mount -t tmpfs none $UP && umount -l $UP'; [ -e $D/ibdata1 ]"),
    work("own-namespace", 60, "unshare -m sh -c 'mount -t tmpfs none $D && mount -t tmpfs none $UP && umount -l $UP && umount -l $D && umount -l $D'; [ -e $D/ibdata1 ]"),
    work(
        "container-pivots",
        90,
        "R=/root/guest-suite/container; unshare -m sh -ec 'mount --bind $0 $0; mount --bind $1 $0/root; cd $0; mkdir -p old; pivot_root . old; /bin/busybox umount -l /old; /bin/busybox ls /root/ibdata1' $R $D",
    ),
    work("nspawn", 90, "systemd-nspawn -q --register=no --keep-unit -D /root/guest-suite/container --bind=$D:/root --tmpfs=/tmp /bin/busybox ls /root/ibdata1"),
    work(
        "confined-unit",
        90,
        "systemd-run -q --wait -p TemporaryFileSystem=$UP -p ProtectSystem=strict -p PrivateTmp=yes -p PrivateDevices=yes -p ProtectHome=yes -p ReadOnlyPaths=/etc sh -c '[ ! -e $D/ibdata1 ]' 2>&1
         systemd-run -q --wait -p BindPaths=/mnt:$D -p PrivateMounts=yes true 2>&1",
    ),
    work("plain-umount-says-busy", 60, "umount $D && exit 1; true; mountpoint -q $D"),
    work("propagation", 60, "unshare -m true; mount --make-shared /; findmnt $D >/dev/null"),
];

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::prepare("prepare", || {
        guard::must_be_armed_or_off()?;
        fixture::load_modules()?;
        crate::acts::prepare_scratch()?;
        shell::must(crate::acts::container::MAKE_ROOT)?;
        db::prepare()
    })];
    for (name, text) in ACTS {
        cases.push(Case::test(format!("free-{name}"), || attempt(text)).once());
        cases.push(Case::test(*name, move || {
            refused(&format!("{NEW_API}{text}"))
        }));
    }
    // Below a private mount, as elsewhere here, it would be that namespace's alone.
    for (name, text) in PEERS {
        cases.push(Case::test(*name, || refused(text)));
    }
    cases.push(Case::test("root-lazily-unmounted", || {
        refused("umount -l /")
    }));
    // The kernel half is given the path as text, and cannot know what it is relative to.
    cases.push(Case::test("moved-by-relative-path", || {
        refused("mkdir -p /mnt/away; cd $UP; python3 -c 'import ctypes,sys; sys.exit(ctypes.CDLL(None).mount(sys.argv[1].encode(), b\"/mnt/away\", None, 8192, None) != 0)' $(basename $D)")
    }));
    cases.push(Case::test("root-pivoted", || {
        refused("mkdir -p /mnt/root; mount -t tmpfs none /mnt/root; mkdir /mnt/root/old; pivot_root /mnt/root /mnt/root/old; r=$?; umount /mnt/root; exit $r")
    }));
    cases.push(Case::test("data-directory-renamed", || {
        refused("mv $UP /var/lib-old")
    }));
    cases.push(Case::test("read-only-is-recorded", read_only));
    // ext4 stops as after an error, and stays so until it is unmounted.
    cases.push(Case::test("aborted", || {
        refused("case $(findmnt -no FSTYPE $D) in ext*) ;; *) exit 1;; esac; mount -i -o remount,abort $D")
    }));
    cases.push(
        Case::test("tablespace-of-a-running-server", tablespace)
            .limit(200)
            .once(),
    );
    for piece in WORK {
        let case = Case::test(piece.name, move || perform(piece)).limit(piece.limit + 40);
        cases.push(case.once());
    }
    cases.push(Case::test("failover", failover).limit(200));
    cases
}

const DATA: (&str, &str) = ("/var/lib/mysql", "/var/lib");
const FREE: (&str, &str) = ("/mnt/free/lib/data", "/mnt/free/lib");

fn script<'a>(text: &'a str, (data, above): (&str, &str)) -> Script<'a> {
    Script::new(text).with("D", data).with("UP", above)
}

/// What is mounted where, and which directories lead to the data. Read here: two programs for each
/// look were a tenth of the suite's time.
fn mounts() -> Result<String> {
    // proc_pid_mountinfo(5): id, parent, device, root, mount point, and options, which may change.
    let table = fs::read_to_string("/proc/self/mountinfo").context("reading the mounts")?;
    let lines = table.lines().map(|line| {
        let (mount, file_system) = line.split_once(" - ").unwrap_or((line, ""));
        let place: Vec<&str> = mount.split(' ').skip(2).take(3).collect();
        format!("{} {file_system}", place.join(" "))
    });
    let mut text: String = lines.collect::<Vec<_>>().join("\n");
    for directory in ["/", "/var/lib", "/var/lib/mysql"] {
        let ino = fs::metadata(directory).context(directory)?.ino();
        write!(text, "\n{directory} {ino}")?;
    }
    Ok(text)
}

/// A mount below a private one, because a mount below a shared one cannot be moved at all.
fn make_free_mounts() -> Result<()> {
    let above = Path::new("/mnt/free");
    let data = above.join("lib/data");
    // Left by an act that failed.
    let _ = unmount(above, UnmountFlags::DETACH);
    for (directory, is_private) in [(above, true), (data.as_path(), false)] {
        fs::create_dir_all(directory)?;
        mount("none", directory, "tmpfs", MountFlags::empty(), None).context("mounting")?;
        if is_private {
            mount_change(directory, MountPropagationFlags::PRIVATE).context("making it private")?;
        }
    }
    Ok(())
}

/// On a directory of no importance the act changes the mounts.
fn attempt(text: &str) -> Result<()> {
    let text = format!("{NEW_API}{text}");
    make_free_mounts()?;
    let before = mounts()?;
    let output = script(&text, FREE).run()?;
    let after = mounts()?;
    for left in ["/mnt/away", "/mnt/free"] {
        let _ = unmount(left, UnmountFlags::DETACH);
    }
    ensure!(
        output.succeeded() && after != before,
        "elsewhere it changes nothing, so it proves nothing: {:?} {}",
        output.code,
        output.tail()
    );
    Ok(())
}

/// The act is refused, and all mounts and the server are what they were.
fn refused(text: &str) -> Result<()> {
    guard::must_be_on()?;
    let (before, mark) = (mounts()?, audit::mark());
    let output = script(text, DATA).run()?;
    let after = mounts()?;
    ensure!(
        before == after,
        "the mounts have CHANGED:\n{before}\n{after}"
    );
    ensure!(
        !output.succeeded(),
        "it claims to have succeeded: {}",
        output.tail()
    );
    ensure!(db::answers(), "the server does not answer");
    audit::wait_refusal(mark, &[], &["detach"]).map(drop)
}

/// A table that is made on a disk of its own while the server runs: the disk is its data from then on,
/// also after the table's file is closed and the disk unmounted.
fn tablespace() -> Result<()> {
    let disk = fixture::memory_disk("tablespace", 64)?;
    guard::wait_free(&disk.node)?;
    let run = |text| Script::new(text).with("DEV", disk.path()).limit(60).must();
    run("mkfs.ext4 -q -F $DEV; mkdir -p /srv/ts; mount $DEV /srv/ts; chown mysql /srv/ts
         mariadb -e 'create database ts'; sleep 4; mariadb -e \"create table ts.t (i int) data directory='/srv/ts'; insert into ts.t values (1)\"")?;
    guard::wait_guarded(&disk.node)?;
    // What is merely mounted is guarded too: by now it is known to be data.
    until(std::time::Duration::from_mins(1), || {
        Ok(guard::cli(&format!("check {}", disk.path()))?
            .text
            .contains("carries /srv/ts"))
    })
    .context("it is not known to be the server's data")?;
    let mark = audit::mark();
    let output = run("umount -l /srv/ts").is_err();
    ensure!(output, "it was unmounted under the server");
    audit::wait_refusal(mark, &[], &["detach"])?;
    let mark = audit::mark();
    run(
        "mariadb -e 'drop database ts; flush tables'; rm -rf /srv/ts/*; umount /srv/ts || { systemctl stop mariadb; umount /srv/ts; systemctl start mariadb; }",
    )?;
    ensure!(
        run("mkfs.ext4 -q -F $DEV").is_err(),
        "it was forgotten with the mount"
    );
    audit::wait_refusal(mark, &[disk.numbers()?], &["raw-write"])?;
    run("dbguard release --confirm-host $(uname -n) $DEV")?;
    fixture::drop_memory_disk("tablespace")?;
    ensure!(db::answers(), "the server does not answer");
    Ok(())
}

/// The kernel says that the file system is busy; that somebody tried is recorded.
fn read_only() -> Result<()> {
    let mark = audit::mark();
    let output = script("mount -o remount,ro $D", DATA).run()?;
    ensure!(!output.succeeded(), "it is READ-ONLY now");
    audit::wait(mark, "a remount that was let through", |record| {
        record.text("/decision") == "record" && record.text("/op") == "detach"
    })?;
    ensure!(db::answers(), "the server does not answer");
    audit::nothing_refused(mark)
}

fn perform(piece: &Work) -> Result<()> {
    let mark = audit::mark();
    let text = format!("set -eu\nexport D UP\n{NEW_API}{}", piece.script);
    script(&text, DATA).limit(piece.limit).must()?;
    ensure!(db::answers(), "the server does not answer");
    audit::nothing_refused(mark)
}

/// The server ends in order; its data is mounted elsewhere, its place covered, and put back.
fn failover() -> Result<()> {
    let rows = db::checksum()?;
    let mark = audit::mark();
    db::stop()?;
    // Until the controller has heard of it.
    std::thread::sleep(std::time::Duration::from_secs(2));
    Script::new(
        "set -e; S=$(findmnt -no SOURCE $D); umount $D; mkdir -p /mnt/standby; mount $S /mnt/standby; [ -e /mnt/standby/ibdata1 ]
         umount -l /mnt/standby; mount -t tmpfs none $D; umount $D; mv $D $D.aside; mv $D.aside $D; mount $S $D",
    )
    .with("D", DATA.0)
    .must()?;
    db::start()?;
    until(std::time::Duration::from_secs(20), || Ok(db::answers()))
        .context("the server is back")?;
    ensure!(db::checksum()? == rows, "the rows have CHANGED");
    audit::nothing_refused(mark)
}
