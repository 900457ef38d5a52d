//! Devices that suites prepare.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::harness::disk::Disk;
use crate::harness::shell::{self, Script};

/// Something that one case makes and the ones after it use.
#[derive(Debug)]
pub struct Shared<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }
}

impl<T: Clone> Shared<T> {
    /// Stores it.
    pub fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    /// A copy of it.
    pub fn get(&self) -> Result<T> {
        let stored = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        stored.context("an earlier case did not prepare this")
    }
}

/// Modules that the suites' own devices need; those of real disks load by themselves.
pub fn load_modules() -> Result<()> {
    shell::must(
        "modprobe -a configfs null_blk nr_devices=0 2>/dev/null || modprobe null_blk nr_devices=0; \
         modprobe -a loop dm-mod dm-snapshot dm-crypt raid1 sg nbd; \
         mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config; \
         udevadm settle
         # LVM looks at devices of kinds it knows; memory disks are none by itself.
         echo 'devices { types = [ \"nullb\", 16 ] }' >/etc/lvm/lvmlocal.conf",
    )
    .map(drop)
}

/// A disk in memory: `mib` mebibytes that appear at once, as a hot-plugged disk does. The one that
/// is there already, where there is one of this name.
pub fn memory_disk(name: &str, mib: u32) -> Result<Disk> {
    let index = Script::new(
        "set -e; C=/sys/kernel/config/nullb/$N; mkdir -p $C; \
         [ \"$(cat $C/power)\" = 0 ] || { cat $C/index; exit 0; }; echo $MIB >$C/size; echo 1 >$C/memory_backed; echo 1 >$C/discard 2>/dev/null || true; echo 4096 >$C/blocksize; \
         echo 1 >$C/power; cat $C/index",
    )
    .with("N", name)
    .with("MIB", mib.to_string())
    .must()?;
    // The node's name is nullbINDEX up to 6.8, and the configured name from 6.9 on.
    let numbered = PathBuf::from(format!("/dev/nullb{}", index.trim()));
    let named = PathBuf::from(format!("/dev/{name}"));
    crate::harness::disk::until(std::time::Duration::from_secs(15), || {
        Ok(numbered.exists() || named.exists())
    })
    .with_context(|| format!("no node for the memory disk {name}"))?;
    Disk::at(if named.exists() { named } else { numbered })
}

/// Takes a memory disk away.
pub fn drop_memory_disk(name: &str) -> Result<()> {
    Script::new("C=/sys/kernel/config/nullb/$N; [ ! -d $C ] || { echo 0 >$C/power; rmdir $C; }")
        .with("N", name)
        .must()
        .map(drop)
}

const TABLE: &str = r#"# Tables are read anew again and again: what the partitions hold is not to be put together
        # each time, which would keep them busy for the act that follows.
        mkdir -p /run/udev/rules.d
        for rule in 64-md-raid-assembly 69-lvm 69-bcache; do
            ln -sf /dev/null /run/udev/rules.d/$rule.rules
        done
        # Nor does udev read the table again whenever the disk was written.
        echo "KERNEL==\"${DEV#/dev/}*\", OPTIONS+=\"nowatch\"" >/run/udev/rules.d/99-written.rules
        udevadm control --reload
        wipefs -qaf $DEV
        sfdisk -q --wipe always --wipe-partitions always $DEV <<'T'
label: gpt
size=48MiB, name=ext4
size=16MiB, name=luks
size=64MiB, name=xfs
size=32MiB, name=btrfs
size=32MiB, name=md
size=32MiB, name=lvm
size=16MiB, name=swap
T
        udevadm settle
        P=${PART}
        # Up to Linux 5.10 a new partition of a free disk is unknown until the controller has heard of it.
        [ "$DBGUARD_MODE" = off ] || dbguard settle ${P}1 ${P}2 ${P}3 ${P}4 ${P}5 ${P}6 ${P}7
        mkdir -p $DIR/files && echo rows >$DIR/files/rows
        mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 -d $DIR/files ${P}1
        echo -n secret | cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 ${P}2 -
        QA_CHECK_FS=1 TEST_DIR=/x TEST_DEV=/y mkfs.xfs -q -f ${P}3
        mkfs.btrfs -q -f --mixed ${P}4
        mdadm -q --create /dev/md/held --run --force --metadata=1.2 --level=1 --raid-devices=2 \
            --homehost=any ${P}5 missing </dev/null
        udevadm settle; mdadm -q --stop /dev/md/held
        pvcreate -q -ff -y ${P}6
        vgcreate -q $GROUP ${P}6
        lvcreate -q -y -an -Zn -L 8M -n lvhold $GROUP
        mkswap -q -f ${P}7
        udevadm settle; sync $DEV"#;

/// A GPT disk whose seven partitions each hold something that tools recognise, one of them the only
/// physical volume of this group.
pub fn make_table(disk: &Disk, group: &str) -> Result<()> {
    let script = format!("set -e\n{TABLE}");
    Script::new(&script)
        .with("DEV", disk.path())
        .with("GROUP", group)
        .with(
            "PART",
            disk.partition_path(0)
                .display()
                .to_string()
                .trim_end_matches('0'),
        )
        .with("DIR", crate::acts::SCRATCH)
        .limit(150)
        .must()
        .map(drop)
}
