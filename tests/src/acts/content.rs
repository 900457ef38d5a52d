//! Acts of tools that make or change file systems, partition tables, volumes and arrays.

use super::{Act, Effect, Refusal};
use crate::native::{compat, descriptor, ioctl};

/// Makers of signatures, on any block device.
pub const MAKERS: &[Act] = &[
    Act::shell("mkfs.xfs", "QA_CHECK_FS=1 TEST_DIR=/x TEST_DEV=/y mkfs.xfs -q -f -K $DEV").limit(60),
    Act::shell("mkfs.btrfs", "mkfs.btrfs -q -f --mixed -K $DEV").limit(60),
    Act::shell("mkfs.vfat", "mkfs.vfat -I $DEV"),
    Act::shell("mkfs.f2fs", "mkfs.f2fs -f -t 0 $DEV"),
    Act::shell("mkfs.exfat", "mkfs.exfat $DEV"),
    Act::shell("mkfs.ntfs", "mkfs.ntfs -q -F -Q $DEV"),
    Act::shell("mkfs.nilfs2", "mkfs.nilfs2 -q -f -K $DEV"),
    Act::shell("mke2fs-whole", "mke2fs -q -t ext2 -F -F -E nodiscard $DEV"),
    Act::shell("mkswap", "mkswap -f $DEV"),
    Act::shell("pvcreate", "pvcreate -ff -y -q $DEV"),
    Act::shell(
        "luksFormat",
        "echo -n secret | cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 $DEV -",
    )
    .everywhere()
    .limit(60),
    Act::shell(
        "mdadm-create",
        "mdadm --create /dev/md/probe --run --force --metadata=1.2 --level=1 --raid-devices=2 $DEV missing \
         --homehost=any </dev/null; r=$?; mdadm --stop /dev/md/probe 2>/dev/null; exit $r",
    )
    .elsewhere()
    .limit(60),
    Act::shell(
        "make-bcache",
        // udev registers what was made, and bcache then holds the disk: let go of it again.
        "make-bcache --wipe-bcache -B $DEV; r=$?; udevadm settle; sleep 0.5; \
         for s in /sys/block/bcache*/bcache/stop; do [ ! -e $s ] || echo 1 >$s; done; sleep 1; \
         udevadm settle; exit $r",
    )
    .everywhere(),
    Act::shell("wipefs-erase", "wipefs -a $DEV").effect(Effect::Succeeds),
    Act::shell("wipefs-offset", "wipefs --force --offset 0x438 $DEV").effect(Effect::Succeeds),
];

/// Acts on a disk with a partition table.
pub const TABLES: &[Act] = &[
    Act::shell("wipefs-table", "wipefs -a -f $DEV"),
    Act::shell("sgdisk-zap-all", "sgdisk -Z $DEV").refusal(Refusal::DeniedQuietly),
    Act::shell("sgdisk-clear", "sgdisk -o $DEV"),
    Act::shell("sgdisk-new", "sgdisk -n 0:0:+1M $DEV"),
    Act::shell("sgdisk-delete", "sgdisk -d 1 $DEV"),
    Act::shell("parted-mklabel", "parted -s $DEV mklabel msdos"),
    Act::shell("parted-rm", "parted -s $DEV rm 1"),
    Act::shell(
        "sfdisk-new",
        "echo 'label: dos' | sfdisk --force --no-reread $DEV",
    ),
    Act::shell("sfdisk-delete", "sfdisk --force --no-reread --delete $DEV"),
    Act::shell("fdisk", "printf 'g\\nw\\n' | fdisk -w always $DEV"),
    Act::shell("gdisk", "printf 'o\\ny\\nw\\ny\\n' | gdisk $DEV"),
    Act::shell(
        "grub-bios-setup",
        "dd if=/usr/lib/grub/i386-pc/boot.img of=$DEV bs=440 count=1 conv=fsync",
    ),
    Act::shell("delpart", "delpart $DEV 1 && partx -a --nr 1 $DEV")
        .ops(&["partition"])
        .effect(Effect::Succeeds),
    Act::shell("addpart", "addpart $DEV 14 2048 2048 && delpart $DEV 14")
        .ops(&["partition"])
        .effect(Effect::None("the range belongs to partition 1 already")),
    Act::shell(
        "resizepart",
        "resizepart $DEV 1 8192 && partx -u --nr 1 $DEV",
    )
    .ops(&["partition"])
    .effect(Effect::Succeeds),
    Act::shell("partx-delete", "partx -d $DEV && partx -a $DEV")
        .ops(&["partition"])
        .effect(Effect::Succeeds),
    Act::target("BLKPG-resize", |target| {
        ioctl::change_partition(&target.whole.node, 3, 1, 1 << 20, 1 << 20)?;
        ioctl::change_partition(&target.whole.node, 3, 1, 1 << 20, 48 << 20)
    })
    .ops(&["partition"])
    .effect(Effect::Succeeds),
    Act::node("compat-BLKPG", compat::add_partition)
        .ops(&["partition"])
        .effect(Effect::None("the range belongs to partition 1 already")),
];

/// Acts on what the partitions of the prepared disk hold; `$PART` with a number is a partition.
pub const HOLDINGS: &[Act] = &[
    Act::shell("e2fsck", "e2fsck -fy ${PART}1; [ $? -lt 4 ]"),
    Act::shell("tune2fs", "tune2fs -L hostile -O ^has_journal ${PART}1"),
    Act::shell(
        "debugfs-write",
        "debugfs -w -R 'rm /rows' ${PART}1 2>&1 | tee /dev/stderr | grep -qv 'not permitted'",
    )
    .refusal(Refusal::DeniedQuietly),
    Act::shell("resize2fs-shrink", "resize2fs -f ${PART}1 20M"),
    Act::shell("e2label", "e2label ${PART}1 hostile"),
    Act::shell("zerofree", "zerofree ${PART}1").effect(Effect::Succeeds),
    Act::shell("luks-erase", "cryptsetup -q luksErase ${PART}2"),
    // A word that is a verb elsewhere in the line.
    Act::shell("luks-erase-named-open", "cryptsetup -q luksErase ${PART}2 open"),
    Act::shell("luks-kill-slot", "cryptsetup -q luksKillSlot ${PART}2 0"),
    Act::shell(
        "luks-header-restore",
        "rm -f $DIR/hdr; cryptsetup luksHeaderBackup ${PART}2 --header-backup-file $DIR/hdr; \
                printf '\\325' | dd of=$DIR/hdr bs=1 seek=600 conv=notrunc 2>/dev/null; \
                cryptsetup -q luksHeaderRestore ${PART}2 --header-backup-file $DIR/hdr",
    ),
    Act::shell(
        "luks-reformat",
        "echo -n x | cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 ${PART}2 -",
    ),
    Act::shell("xfs_repair-log", "xfs_repair -L ${PART}3"),
    Act::shell("xfs_admin", "xfs_admin -L hostile ${PART}3"),
    Act::shell("btrfs-rescue", "btrfs rescue zero-log ${PART}4").effect(Effect::Succeeds),
    Act::shell(
        "btrfs-check-repair",
        "btrfs check --force --repair ${PART}4 </dev/null",
    )
    .effect(Effect::Succeeds)
    .limit(60),
    Act::shell("btrfstune", "btrfstune -f -u ${PART}4"),
    Act::shell("mdadm-zero-superblock", "mdadm --zero-superblock ${PART}5"),
    Act::shell(
        "mdadm-create-over",
        "mdadm --create /dev/md/over --run --force --level=1 --raid-devices=2 ${PART}5 missing \
                --metadata=1.2 --homehost=any; r=$?; mdadm --stop /dev/md/over 2>/dev/null; exit $r",
    )
    .elsewhere(),
    Act::shell("pvremove", "pvremove -ff -y -q ${PART}6"),
    Act::shell("pvcreate-over", "pvcreate -ff -y -q ${PART}6"),
    Act::shell("vgremove", "vgremove -ff -y -q vghold"),
    Act::shell("vgcreate-over", "vgcreate -ff -y -q vgnew ${PART}6"),
    Act::shell("swap-over", "mkswap -f ${PART}7"),
    Act::shell("swaplabel", "swaplabel -L hostile ${PART}7"),
    Act::target("swapon-data", |target| {
        descriptor::swap_on(&target.whole.partition(1)?.node)
    })
    .effect(Effect::None("a file system has no swap signature")),
];
