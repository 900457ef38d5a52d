//! The disks every guest starts from: the root disk of each kernel and the data disk of each
//! database. Runs put a throw-away overlay above them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::boot;
use super::disk::{self, Ext4, Partition};
use super::kernel::{self, Flavour, Kernel, Unpacked};
use super::rootfs;
use crate::guest::initrd;
use crate::{cache, cmd, paths};

/// The code that makes the disks is part of their recipe: nobody has to remember a version number.
const CODE: &str = concat!(
    include_str!("root.rs"),
    include_str!("boot.rs"),
    include_str!("disk.rs"),
    include_str!("../guest/initrd.rs")
);

const LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const BIOS_BOOT: &str = "21686148-6449-6E6F-744E-656564454649";

/// The list of units that guests do without.
const MASKED_UNITS: &str = "masked-units";

const ROOT_MIB: u64 = 4096;
const ESP_MIB: u64 = 128;
const DATA_MIB: u64 = 2048;

/// What a guest of one kernel boots from.
pub struct Base {
    /// The bootable kernel.
    pub vmlinuz: PathBuf,
    /// The initramfs, an uncompressed cpio archive to which each run appends its own files.
    pub initrd: PathBuf,
    /// The root disk, raw and sparse.
    pub disk: PathBuf,
}

/// Which server's files the data disk carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Db {
    /// MariaDB in /var/lib/mysql.
    Mariadb,
    /// PostgreSQL in /var/lib/postgresql.
    Postgres,
    /// No server; the data disk is mounted on /srv/data.
    None,
}

impl Db {
    /// Where the data disk's partition is mounted.
    pub fn mount_point(self) -> &'static str {
        match self {
            Self::Mariadb => "/var/lib/mysql",
            Self::Postgres => "/var/lib/postgresql",
            Self::None => "/srv/data",
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
            Self::None => "none",
        }
    }
}

/// The data disk of `db`: GPT, one ext4 partition, the server's files as its package made them.
pub fn data_disk(db: Db) -> Result<PathBuf> {
    let key = cache::key(&["data", &rootfs::key(), db.name(), CODE]);
    let what = format!("data disk for database {}", db.name());
    let place = cache::ensure("data", &key, &what, |work| {
        let log = work.join("log");
        let tree = work.join("tree");
        fs::create_dir_all(&tree).context("cannot create the tree")?;
        let inside = db.mount_point();
        let content = tree.join(inside.trim_start_matches('/'));
        if db == Db::None {
            fs::create_dir_all(&content).context("cannot create the tree")?;
        } else {
            unpack(&rootfs::ensure()?, &tree, &[&format!(".{inside}")], &log)?;
        }
        let meta = fs::metadata(&content)
            .with_context(|| format!("the root file system has no {inside}"))?;
        let image = work.join("disk.raw");
        disk::sparse(&image, DATA_MIB)?;
        let parts = [Partition {
            mib: None,
            kind: LINUX,
            name: "data",
        }];
        disk::partition(&image, "5D2C0A6E-0D1B-4F6C-9A75-0D6200000DA7", &parts)?;
        Ext4 {
            image: &image,
            start_mib: 1,
            mib: DATA_MIB - 2,
            label: "data",
            owner: (meta.uid(), meta.gid()),
            content: &content,
        }
        .make(&log)?;
        fs::remove_dir_all(&tree).context("cannot remove the unpacked files")
    })?;
    Ok(place.join("disk.raw"))
}

/// The cache key of a root disk: what it is made of, and the guest files of this checkout.
fn base_key(kernel: Kernel, flavour: Flavour) -> Result<String> {
    let assets = paths::guest_assets();
    let mut recipe = cache::tree_recipe(&assets.join("root"))?;
    recipe.extend(cache::tree_recipe(&assets.join("initramfs"))?);
    let masked = assets.join(MASKED_UNITS);
    recipe.extend(fs::read(&masked).with_context(|| format!("reading {}", masked.display()))?);
    let (rootfs, kernel) = (rootfs::key(), kernel::key(kernel, flavour));
    Ok(cache::key(&[
        b"root",
        rootfs.as_bytes(),
        kernel.as_bytes(),
        &recipe,
        CODE.as_bytes(),
    ]))
}

/// Whether the root disk of a series is in the cache.
pub fn is_made(kernel: Kernel, flavour: Flavour) -> Result<bool> {
    Ok(cache::slot("roots", &base_key(kernel, flavour)?)?.is_dir())
}

/// The root disk, kernel and initramfs of a series.
pub fn base(kernel: Kernel, flavour: Flavour) -> Result<Base> {
    let key = base_key(kernel, flavour)?;
    let what = format!("root disk for kernel {kernel}");
    let place = cache::ensure("roots", &key, &what, |work| {
        make_base(work, &kernel::ensure(kernel, flavour)?, &rootfs::ensure()?)
    })?;
    Ok(Base {
        vmlinuz: place.join("vmlinuz"),
        initrd: place.join("initrd.cpio"),
        disk: place.join("disk.raw"),
    })
}

fn make_base(work: &Path, kernel: &Unpacked, rootfs: &Path) -> Result<()> {
    let log = work.join("log");
    let tree = work.join("tree");
    fs::create_dir_all(&tree).context("cannot create the tree")?;
    unpack(rootfs, &tree, &[], &log)?;
    disk::copy_tree(&kernel.tree.join("boot"), &tree.join("boot"), &log)?;
    let modules = tree.join("usr/lib/modules").join(&kernel.release);
    disk::copy_tree(&kernel.modules(), &modules, &log)?;
    furnish(&tree, &log)?;
    fs::copy(kernel.vmlinuz(), work.join("vmlinuz")).context("cannot copy the kernel")?;
    let initrd = initrd::base(&tree, &modules)?;
    fs::write(work.join("initrd.cpio"), &initrd).context("cannot write the initramfs")?;
    boot::furnish(&tree, &kernel.release, &initrd)?;
    let esp = work.join("esp");
    boot::system_partition(&tree, &esp, &kernel.release)?;

    let image = work.join("disk.raw");
    disk::sparse(&image, ROOT_MIB)?;
    let parts = [
        Partition {
            mib: Some(1),
            kind: BIOS_BOOT,
            name: "bios",
        },
        Partition {
            mib: Some(ESP_MIB),
            kind: ESP,
            name: "esp",
        },
        Partition {
            mib: None,
            kind: LINUX,
            name: "root",
        },
    ];
    disk::partition(&image, "5D2C0A6E-0D1B-4F6C-9A75-0D6200000007", &parts)?;
    disk::make_fat(&image, 2, ESP_MIB, &esp, &log)?;
    let start_mib = 2 + ESP_MIB;
    Ext4 {
        image: &image,
        start_mib,
        mib: ROOT_MIB - start_mib - 1,
        label: "root",
        owner: (0, 0),
        content: &tree,
    }
    .make(&log)?;
    for dir in [&esp, &tree] {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

/// Turns the plain root file system into a guest: files from the repository, units masked, the
/// directories that the data disk is mounted on emptied.
fn furnish(tree: &Path, log: &Path) -> Result<()> {
    let assets = paths::guest_assets();
    cmd::logged(
        Command::new("cp")
            .args(["-r", "--no-preserve=ownership", "--preserve=mode,links"])
            .arg(assets.join("root/."))
            .arg(tree),
        "copying the guest's own files",
        log,
    )?;
    for db in [Db::Mariadb, Db::Postgres, Db::None] {
        let dir = tree.join(db.mount_point().trim_start_matches('/'));
        if db == Db::None {
            fs::create_dir_all(&dir).context("cannot create the mount point")?;
        }
        for entry in fs::read_dir(&dir).with_context(|| format!("listing {}", dir.display()))? {
            let path = entry
                .with_context(|| format!("listing {}", dir.display()))?
                .path();
            let gone = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            gone.with_context(|| format!("emptying {}", path.display()))?;
        }
    }
    let masked = assets.join(MASKED_UNITS);
    let list =
        fs::read_to_string(&masked).with_context(|| format!("reading {}", masked.display()))?;
    for unit in list
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let link = tree.join("etc/systemd/system").join(unit);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).with_context(|| format!("replacing {}", link.display()))?;
        }
        symlink("/dev/null", &link).with_context(|| format!("masking {unit}"))?;
    }
    fs::create_dir_all(tree.join("boot/efi")).context("cannot create /boot/efi")?;
    let wants = tree.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).context("cannot create the unit directory")?;
    symlink(
        "/usr/lib/systemd/system/guest-run.service",
        wants.join("guest-run.service"),
    )
    .context("enabling guest-run.service")
}

/// Unpacks all of an archive, or the named members.
fn unpack(archive: &Path, into: &Path, members: &[&str], log: &Path) -> Result<()> {
    cmd::logged(
        Command::new("tar")
            .args([
                "-x",
                "--numeric-owner",
                "--xattrs",
                "--xattrs-include=*",
                "-p",
                "-C",
            ])
            .arg(into)
            .arg("-f")
            .arg(archive)
            .args(members),
        "unpacking the guest root file system (root is needed for the owners)",
        log,
    )
}
