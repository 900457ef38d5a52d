//! What the machine boots from: nobody changes it but those whose work it is.
//!
//! Each act is performed twice: on a copy of the boot directory, where it must change something,
//! and on the real one, where it must change nothing and leave a record.

mod refused;
mod work;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::harness::audit;
use crate::harness::case::Case;
use crate::harness::disk::{Disk, until};
use crate::harness::guard;
use crate::harness::shell::{self, Script};

/// Files below this are compared byte for byte; of larger ones, size and time are.
const SMALL: u64 = 200 * 1024;

/// The real directories, and their copies.
struct Place {
    /// What lies on the root file system.
    boot: &'static str,
    /// An EFI system partition.
    esp: &'static str,
    /// Another name of a file in the boot directory.
    hard_link: &'static str,
    /// The configuration's scripts.
    scripts: &'static str,
}

const REAL: Place = Place {
    boot: "/boot",
    esp: "/boot/efi",
    hard_link: "/root/guest-suite/outside-real",
    scripts: "/etc/grub.d",
};
const COPY: Place = Place {
    boot: "/root/guest-suite/copy/boot",
    esp: "/mnt/esp-copy",
    hard_link: "/root/guest-suite/outside-copy",
    scripts: "/root/guest-suite/copy/grub.d",
};

/// A package with boot files. Its maintainer script is `$POST`, its version `$VERSION`.
const PACKAGE: &str = r#"
    P=/root/guest-suite/package; rm -rf $P; mkdir -p $P/DEBIAN $P/boot/grub/i386-pc $P/boot/loader/entries $P/boot/loader/empty
    echo "set default=0 # $VERSION" >$P/boot/grub/grub.cfg
    head -c 1024 /dev/zero | tr '\0' '#' >$P/boot/grub/grubenv
    printf '# GRUB Environment Block\nsaved_entry=0\nrecordfail=1\n' | dd of=$P/boot/grub/grubenv conv=notrunc status=none
    echo "module $VERSION" >$P/boot/grub/i386-pc/normal.mod
    echo "title $VERSION" >$P/boot/loader/entries/a.conf
    echo "default a" >$P/boot/loader/loader.conf
    head -c 65536 /dev/urandom >$P/boot/vmlinuz-guest
    printf 'Package: guest-boot\nVersion: %s\nArchitecture: all\nMaintainer: guest <root@db1>\nDescription: boot files\n' $VERSION >$P/DEBIAN/control
    printf '#!/bin/sh\nset -e\n%s\n' "$POST" >$P/DEBIAN/postinst; chmod 755 $P/DEBIAN/postinst
    dpkg-deb --root-owner-group -b $P /root/guest-suite/guest-boot.deb >/dev/null"#;

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::prepare("prepare", prepare).limit(200)];
    cases.extend(refused::cases());
    cases.extend(work::cases());
    cases.push(Case::clean_up("remove", || {
        script("umount $COPY_ESP $ESP; dpkg -r guest-boot", "", &REAL)
            .must()
            .map(drop)
    }));
    cases
}

fn script<'a>(text: &'a str, post: &str, place: &Place) -> Script<'a> {
    Script::new(text)
        .with("B", place.boot)
        .with("ESP", place.esp)
        .with("HARD", place.hard_link)
        .with("SCRIPTS", place.scripts)
        .with("COPY_ESP", COPY.esp)
        .with("DIR", crate::acts::SCRATCH)
        .with("POST", post)
}

fn prepare() -> Result<()> {
    guard::must_be_armed_or_off()?;
    super::fixture::load_modules()?;
    crate::acts::prepare_scratch()?;
    shell::must(crate::acts::container::MAKE_ROOT)?;
    install(
        "1",
        "ln -f /boot/grub/i386-pc/normal.mod /root/guest-suite/outside-real",
    )?;
    let esp = Disk::role("root")?.partition(2)?.path();
    // The system partition is filled by whoever may: a package's script.
    install(
        "2",
        &format!(
            "mountpoint -q /boot/efi || mount {esp} /boot/efi
             mkdir -p /boot/efi/EFI/guest /boot/efi/loader/entries
             echo loader >/boot/efi/EFI/guest/grubx64.efi; echo 'default a' >/boot/efi/loader/loader.conf
             ln -f /boot/grub/i386-pc/normal.mod /root/guest-suite/outside-real"
        ),
    )?;
    let copy = super::fixture::memory_disk("esp-copy", 32)?.path();
    Script::new(
        "set -e; O=/root/guest-suite/original; rm -rf $O; mkdir -p $O /mnt/esp-copy
         cp -a --one-file-system /boot $O/boot; cp -a /etc/grub.d $O/; cp -r /boot/efi $O/esp
         find $O -type f -size +1M -exec truncate -s 4096 {} +
         mkfs.vfat $COPY >/dev/null; mount $COPY /mnt/esp-copy",
    )
    .with("COPY", copy)
    .must()?;
    fresh_copy()?;
    if guard::is_off() {
        return Ok(());
    }
    // Until the controller has heard of the new directories.
    until(std::time::Duration::from_secs(10), || {
        Ok(!Script::new("echo x >>/root/guest-suite/outside-real")
            .run()?
            .succeeded())
    })
    .context("the boot files that were just installed are not guarded")
}

/// Installs a version of the package; what that prints.
fn install(version: &str, post: &str) -> Result<String> {
    let text = format!("set -e{PACKAGE}\ndpkg -i /root/guest-suite/guest-boot.deb 2>&1");
    script(&text, post, &REAL)
        .with("VERSION", version)
        .limit(120)
        .must()
}

/// Makes the copy as it was: what one act has done to it, the next does not see.
fn fresh_copy() -> Result<()> {
    Script::new(
        "set -e; O=/root/guest-suite/original; C=/root/guest-suite/copy; rm -rf $C; mkdir $C
         cp -a $O/boot $O/grub.d $C/; ln -f $C/boot/grub/i386-pc/normal.mod /root/guest-suite/outside-copy
         rm -rf /mnt/esp-copy/*; cp -r $O/esp/* /mnt/esp-copy/; sync -f /mnt/esp-copy",
    )
    .must()
    .map(drop)
}

/// All there is to know of files in the place, with what is in the smaller ones: lines.
fn state(place: &Place) -> Result<String> {
    let mut lines = Vec::new();
    for top in [place.boot, place.esp, place.scripts, place.hard_link] {
        describe(Path::new(top), &mut lines).with_context(|| format!("looking at {top}"))?;
    }
    lines.sort();
    Ok(lines.join("\n"))
}

fn describe(path: &Path, lines: &mut Vec<String>) -> Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let content = if metadata.is_file() && metadata.len() < SMALL {
        let mut hasher = DefaultHasher::new();
        fs::read(path)?.hash(&mut hasher);
        hasher.finish()
    } else {
        0
    };
    lines.push(format!(
        "{} {:o} {} bytes, {} names, changed {}.{}, {content:x}",
        path.display(),
        metadata.mode(),
        metadata.len(),
        metadata.nlink(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    ));
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            describe(&entry?.path(), lines)?;
        }
    }
    Ok(())
}

/// An act is performed on the copy and on the real directory.
fn attempt(text: &str) -> Result<()> {
    fresh_copy()?;
    let before = state(&COPY)?;
    let output = script(text, "", &COPY).run()?;
    ensure!(
        output.succeeded() && state(&COPY)? != before,
        "on the copy it changes nothing, so it proves nothing: {:?} {}",
        output.code,
        output.tail()
    );
    guard::must_be_on()?;
    let (before, mark) = (state(&REAL)?, audit::mark());
    let output = script(text, "", &REAL).run()?;
    let after = state(&REAL)?;
    ensure!(
        after == before,
        "boot files have CHANGED:\n{}",
        difference(&before, &after)
    );
    // grub-reboot and grub-set-default do not look at what became of it.
    ensure!(
        !output.succeeded() || output.text.contains("not permitted"),
        "it claims to have succeeded: {}",
        output.tail()
    );
    audit::wait_refusal(mark, &[], &["boot-file"]).map(drop)
}

/// The lines that one text has and the other has not.
fn difference(before: &str, after: &str) -> String {
    let only = |one: &str, other: &str, sign: &str| {
        let lines: Vec<_> = other.lines().collect();
        let gone = one.lines().filter(|line| !lines.contains(line));
        gone.map(|line| format!("{sign} {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    only(before, after, "-") + "\n" + &only(after, before, "+")
}
