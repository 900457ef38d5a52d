//! The work that changes boot files on a live host, done while armed.

use anyhow::{Context, Result, ensure};

use super::{REAL, install, script};
use crate::harness::audit;
use crate::harness::case::Case;
use crate::harness::disk::{Disk, until};
use crate::harness::guard;
use crate::harness::shell::{self, Script};
use crate::suites::legitimate::{Work, work};

const WORK: &[Work] = &[
    work(
        "update-grub",
        200,
        "before=$(stat -c %Y.%i /boot/grub/grub.cfg); update-grub 2>&1; grep -q 'DO NOT EDIT' /boot/grub/grub.cfg
         [ $(stat -c %Y.%i /boot/grub/grub.cfg) != $before ]",
    ),
    work(
        "grub-mkconfig",
        200,
        // Two of its parts are enough here: looking for other systems takes a minute in a guest.
        "before=$(stat -c %Y.%i /boot/grub/grub.cfg); chmod -x /etc/grub.d/*; chmod +x /etc/grub.d/00_header /etc/grub.d/40_custom
         grub-mkconfig -o /boot/grub/grub.cfg 2>&1; chmod +x /etc/grub.d/*; grep -q 40_custom /boot/grub/grub.cfg
         [ $(stat -c %Y.%i /boot/grub/grub.cfg) != $before ]",
    ),
    work(
        "boot-was-good",
        60,
        "grub-editenv /boot/grub/grubenv list | grep -q recordfail
         grub-editenv /boot/grub/grubenv unset recordfail; ! grub-editenv /boot/grub/grubenv list | grep -q recordfail
         grub-editenv /boot/grub/grubenv list | grep -q saved_entry=0",
    ),
    work(
        "initramfs",
        400,
        "command -v update-initramfs >/dev/null || exit 0
         # Most hooks copy what this guest boots without, for minutes.
         H=/usr/share/initramfs-tools/hooks; chmod -x $H/*; chmod +x $H/zz-* $H/kmod* $H/klibc* $H/*busybox* 2>/dev/null || true
         K=$(uname -r); printf 'MODULES=list\\nCOMPRESS=gzip\\n' >/etc/initramfs-tools/conf.d/guest
         update-initramfs -c -k $K 2>&1; [ -s /boot/initrd.img-$K ]
         update-initramfs -d -k $K 2>&1; chmod +x $H/*; [ ! -e /boot/initrd.img-$K ]",
    ),
    work(
        "files-beside",
        60,
        "for i in $(seq 50); do echo $i >/root/guest-suite/f$i; mv /root/guest-suite/f$i /root/guest-suite/g$i; rm /root/guest-suite/g$i; done
         touch /etc/default/grub; echo '# x' >>/etc/default/grub; mkdir /grubenv; echo x >/grubenv/grubenv; echo x >/loader.conf; rm -r /grubenv /loader.conf",
    ),
    work(
        "read",
        60,
        "cp -r /boot/grub $DIR/backup-of-grub; tar cf $DIR/boot.tar /boot 2>/dev/null; sha256sum /boot/vmlinuz* >/dev/null; rm -r $DIR/backup-of-grub; mkdir -p /mnt/ro; mount --bind -o ro /boot /mnt/ro; umount /mnt/ro",
    ),
];

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::test("package-upgraded", upgraded).limit(200),
        Case::test("new-directory-guarded-at-once", new_directory).limit(120),
        Case::test("new-files-while-the-controller-is-frozen", unseen)
            .limit(200)
            .once(),
        Case::test("inode-of-a-removed-file", used_again)
            .limit(200)
            .once(),
        Case::test("chosen-inside-a-package", chosen).limit(160),
        Case::test("boot-sector-by-a-package", boot_sector)
            .limit(260)
            .once(),
    ];
    // Tools of one distribution: the kernel makes no difference, and they take long.
    cases.extend(WORK.iter().map(|work| {
        let body = move || perform(work);
        Case::test(work.name, body).limit(work.limit + 40).once()
    }));
    cases
}

fn perform(work: &Work) -> Result<()> {
    let mark = audit::mark();
    let text = format!("set -eu\n{}", work.script);
    script(&text, "", &REAL).limit(work.limit).must()?;
    audit::nothing_refused(mark)
}

/// A package's files are replaced, one is added and one goes; all of it is recorded.
fn upgraded() -> Result<()> {
    let mark = audit::mark();
    install(
        "3",
        "cp /boot/vmlinuz-guest /boot/vmlinuz-guest.old; mv /boot/vmlinuz-guest.old /boot/vmlinuz.old; rm /boot/vmlinuz.old; echo 'default a' >/boot/efi/loader/loader.conf",
    )?;
    shell::must(
        "grep -q 'set default=0 # 3' /boot/grub/grub.cfg; grep -q 'title 3' /boot/loader/entries/a.conf",
    )?;
    audit::nothing_refused(mark)?;
    if guard::is_off() {
        return Ok(());
    }
    audit::wait(mark, "a new boot loader configuration", |record| {
        record.is_kind("denial")
            && record.text("/decision") == "record"
            && record.text("/op") == "boot-file"
            && record.text("/object/name").contains("grub.cfg")
    })
    .map(drop)
}

fn new_directory() -> Result<()> {
    install(
        "4",
        "mkdir -p /boot/fresh/deep; echo x >/boot/fresh/deep/file",
    )?;
    if guard::is_off() {
        return Ok(());
    }
    until(std::time::Duration::from_secs(5), || {
        let written =
            Script::new("echo y >>/boot/fresh/deep/file; echo y >/boot/fresh/deep/new").run()?;
        Ok(!written.succeeded())
    })
    .context("files in a new directory can be written")?;
    install("5", "rm -r /boot/fresh").map(drop)
}

/// How files come into a directory, and their names there.
const BROUGHT: &str = "set -e; D=/root/guest-suite; umask 022
    echo created >/boot/by-create
    echo renamed >$D/brought; mv $D/brought /boot/by-rename
    echo linked >$D/linked; ln -f $D/linked /boot/by-link
    mkfifo /boot/by-mknod; rm /boot/by-mknod
    echo exchanged >$D/exchanged
    python3 -c 'import ctypes,sys
sys.exit(ctypes.CDLL(None).renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2))' /boot/grub/grub.cfg $D/exchanged";
const BY_WAYS: [&str; 4] = ["by-create", "by-rename", "by-link", "grub/grub.cfg"];

/// What a package brings is guarded at once, also while no controller sees it, and by whatever way
/// it comes.
fn unseen() -> Result<()> {
    // By now the controller has told of all that there is, and the kernel half rests on that.
    std::thread::sleep(std::time::Duration::from_secs(6));
    let pid = guard::controller_pid()?;
    if !guard::is_off() {
        ensure!(pid != 0, "the controller does not run");
        shell::must("systemctl kill --kill-whom=main -s STOP dbguard.service")?;
    }
    let mark = audit::mark();
    let result = install("10", BROUGHT).and_then(|_| {
        BY_WAYS
            .iter()
            .map(|name| written_to(&format!("/boot/{name}")))
            .collect::<Result<Vec<_>>>()
    });
    let still = guard::controller_pid();
    if !guard::is_off() {
        shell::must(&format!("kill -CONT {pid}"))?;
    }
    let written = result?;
    ensure!(
        still? == pid,
        "the frozen controller was replaced meanwhile"
    );
    if guard::is_off() {
        ensure!(written.iter().all(|changed| *changed), "none is guarded");
        return Ok(());
    }
    for (name, changed) in BY_WAYS.iter().zip(written) {
        ensure!(!changed, "/boot/{name} was WRITTEN to");
    }
    audit::wait_refusal(mark, &[], &["boot-file"])?;
    // Nor can they be once the controller has seen them.
    std::thread::sleep(std::time::Duration::from_secs(6));
    for name in BY_WAYS {
        ensure!(
            !written_to(&format!("/boot/{name}"))?,
            "/boot/{name} was WRITTEN to later"
        );
    }
    install("11", "rm /boot/by-*").map(drop)
}

/// Whether its bytes are others after it was tried to write to them.
fn written_to(path: &str) -> Result<bool> {
    let before = std::fs::read(path)?;
    let done = Script::new("printf x >>$F").with("F", path).run()?;
    let changed = std::fs::read(path)? != before;
    ensure!(
        changed == done.succeeded(),
        "{path}: changed {changed}, and the shell says {:?} {}",
        done.code,
        done.tail()
    );
    Ok(changed)
}

/// Files elsewhere that get the inode numbers of boot files that were removed are ordinary files,
/// also while no controller lives to tell the kernel half.
fn used_again() -> Result<()> {
    let many = "for i in $(seq 60); do echo $i >/boot/many-$i; done";
    install("6", many)?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    if !guard::is_off() {
        shell::must("systemctl stop dbguard")?;
    }
    let mark = audit::mark();
    let done = install("7", "rm /boot/many-*").and_then(|_| {
        shell::must(
            "set -e; sync; mkdir -p /var/tmp/again; for i in $(seq 400); do echo $i >/var/tmp/again/$i; echo more >>/var/tmp/again/$i; done
             rm -r /var/tmp/again",
        )
    });
    if !guard::is_off() {
        guard::start_controller()?;
    }
    done?;
    audit::nothing_refused(mark)
}

/// A package may change what is installed, and not choose what is booted next.
fn chosen() -> Result<()> {
    guard::must_be_on()?;
    let mark = audit::mark();
    install(
        "8",
        "grub-reboot installer && touch /root/guest-suite/was-chosen || true",
    )?;
    let list = shell::must("grub-editenv /boot/grub/grubenv list")?;
    ensure!(
        !list.contains("next_entry"),
        "the next boot was chosen: {list}"
    );
    audit::wait_refusal(mark, &[], &["boot-file"])?;
    Ok(())
}

/// The boot sector is written by `grub-install` where a package's script runs it, and by nobody
/// else. (The guest boots without it.)
fn boot_sector() -> Result<()> {
    let disk = Disk::role("root")?.path();
    let install_it = format!("grub-install --target=i386-pc --no-floppy {disk}");
    let sector = || {
        shell::must(&format!(
            "dd if={disk} bs=440 count=1 status=none iflag=direct 2>/dev/null | sha256sum || true; head -c 440 {disk} | sha256sum"
        ))
    };
    let before = sector()?;
    if !guard::is_off() {
        let mark = audit::mark();
        let by_hand = Script::new(&install_it).limit(120).run()?;
        ensure!(!by_hand.succeeded(), "by hand it succeeds");
        ensure!(sector()? == before, "the boot sector has CHANGED");
        audit::wait_refusal(mark, &[], &["boot-file", "raw-write"])?;
    }
    let mark = audit::mark();
    install("9", &install_it)?;
    audit::nothing_refused(mark)?;
    ensure!(sector()? != before, "no boot sector was written");
    Ok(())
}
