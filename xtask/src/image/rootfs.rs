//! The guests' root file system as a tar archive, made once by mmdebstrap from the machine's own
//! apt sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::{cache, cmd};

/// The Debian release that guests run.
const SUITE: &str = "bookworm";

/// What a database host has, what its operators use, and what destroys it. Recommended packages
/// are left out, so everything meant to be there is named.
#[rustfmt::skip]
const PACKAGES: &[&str] = &[
    // the system
    "systemd", "systemd-sysv", "systemd-container", "dbus", "udev", "kmod", "libpam-systemd",
    "util-linux", "procps", "psmisc", "lsof", "iproute2", "file", "less", "attr", "acl",
    "uuid-runtime", "busybox-static", "openssh-client", "rsync", "pv", "socat", "strace",
    "bpftool", "python3", "perl", "crun",
    // the databases
    "mariadb-server", "mariadb-backup", "postgresql",
    // file systems
    "e2fsprogs", "xfsprogs", "btrfs-progs", "f2fs-tools", "dosfstools", "exfatprogs", "ntfs-3g",
    "nilfs-tools", "udftools", "mtools",
    // partitions and volumes
    "gdisk", "fdisk", "parted", "lvm2", "mdadm", "cryptsetup-bin", "dmsetup",
    "thin-provisioning-tools", "multipath-tools", "bcache-tools", "partclone", "qemu-utils",
    "nbd-client", "nbd-server", "tgt", "open-iscsi", "cloud-guest-utils",
    // drives
    "nvme-cli", "sg3-utils", "lsscsi", "smartmontools", "hdparm", "sdparm", "fio", "mtd-utils",
    // boot, reboot, BMC
    "efibootmgr", "grub-pc-bin", "grub-efi-amd64-bin", "grub2-common", "grub-common", "extlinux",
    "systemd-boot", "mokutil", "kexec-tools", "ipmitool", "freeipmi-tools", "dmidecode", "flashrom",
    // another guard to measure against
    "apparmor",
    // wiping and imaging
    "nwipe", "wipe", "scrub", "secure-delete", "gddrescue", "dcfldd", "dc3dd", "zerofree",
];

/// Left out of every package: nobody reads manuals in a guest.
const EXCLUDED: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
];

/// The cache key: the hash of everything that decides what is in the archive.
pub fn key() -> String {
    let mut packages = PACKAGES.to_vec();
    packages.sort_unstable();
    cache::key(&["rootfs 1", SUITE, &packages.join(","), &EXCLUDED.join(",")])
}

/// Gives the archive, making it the first time (one to three minutes).
pub fn ensure() -> Result<PathBuf> {
    let what = format!(
        "guest root file system: Debian {SUITE} with {} packages named (1 GB, one to three minutes)",
        PACKAGES.len()
    );
    let place = cache::ensure("rootfs", &key(), &what, |work| {
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap.args([
            "--variant=minbase",
            "--mode=root",
            "--skip=cleanup/reproducible",
        ]);
        mmdebstrap.arg(format!("--include={}", PACKAGES.join(",")));
        for path in EXCLUDED {
            mmdebstrap.arg(format!("--dpkgopt=path-exclude={path}"));
        }
        for option in proxy_options()? {
            mmdebstrap.arg(format!("--aptopt={option}"));
        }
        mmdebstrap
            .arg(SUITE)
            .arg(work.join("root.tar"))
            .args(sources()?);
        // Run from a directory that the package manager's own user may enter.
        mmdebstrap.current_dir("/");
        cmd::logged(
            &mut mmdebstrap,
            "making the guest root file system",
            &work.join("log"),
        )
    })?;
    Ok(place.join("root.tar"))
}

/// The machine's own apt sources, the files that speak of the guests' release.
fn sources() -> Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(dir) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(
            dir.filter_map(Result::ok)
                .map(|entry| entry.path())
                .filter(|path| {
                    path.extension()
                        .is_some_and(|ext| ext == "list" || ext == "sources")
                }),
        );
    }
    files.retain(|file| speaks_of_suite(file));
    files.sort();
    if files.is_empty() {
        bail!("no apt source of this machine offers Debian {SUITE}: add one under /etc/apt");
    }
    Ok(files)
}

fn speaks_of_suite(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| {
        text.lines()
            .any(|line| !line.trim_start().starts_with('#') && line.contains(SUITE))
    })
}

/// The machine's proxy and certificate settings for apt: mmdebstrap starts from none.
fn proxy_options() -> Result<Vec<String>> {
    let dump = cmd::capture(
        Command::new("apt-config").args(["dump", "Acquire"]),
        "reading apt's settings",
    )?;
    Ok(dump
        .lines()
        .filter(|line| {
            let name = line
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            [
                "::proxy",
                "::cainfo",
                "::verify-peer",
                "::check-valid-until",
                "::check-date",
            ]
            .iter()
            .any(|part| name.contains(part))
        })
        .filter(|line| !line.ends_with("\"\";"))
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_of_the_suite_count() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.sources");
        fs::write(&file, "Types: deb\n# bookworm\nSuites: sid\n").unwrap();
        assert!(!speaks_of_suite(&file));
        fs::write(&file, "Types: deb\nSuites: bookworm bookworm-updates\n").unwrap();
        assert!(speaks_of_suite(&file));
    }

    #[test]
    fn no_package_is_named_twice() {
        let mut packages = PACKAGES.to_vec();
        packages.sort_unstable();
        packages.dedup();
        assert_eq!(packages.len(), PACKAGES.len());
    }
}
