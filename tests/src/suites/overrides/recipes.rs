//! The recipes of docs/break-glass.md: each is refused, and done under the grant that it names. That of a
//! boot loader on a UEFI host is the suite `firmware`'s, the jump into the rescue kernel is the test
//! `rescue`'s.

use anyhow::{Context, Result, ensure};

use super::{all_closed, granted, must};
use crate::harness::snapshot::Snapshot;

/// What makes a file system and breaks it, what mends it, and what finds nothing to mend afterwards.
const REPAIRS: &[[&str; 3]] = &[
    [
        "wipefs -qaf $DEV; mkfs.ext4 -q -F $DEV; dd if=/dev/zero of=$DEV bs=1024 count=16 seek=8 conv=fsync,notrunc 2>/dev/null",
        "e2fsck -f -y $DEV",
        "e2fsck -f -n $DEV",
    ],
    // XFS without its first superblock: one of the others takes its place.
    [
        "mkfs.xfs -q -f --unsupported $DEV; dd if=/dev/zero of=$DEV bs=512 count=1 conv=fsync,notrunc 2>/dev/null",
        "xfs_repair $DEV",
        "xfs_repair -n $DEV",
    ],
];

/// A data volume is checked and repaired, unmounted.
pub fn repair() -> Result<()> {
    for [broken, mend, look] in REPAIRS {
        must(&format!(
            "G=$(open --device $DEV --op raw-write) && dbguard exec --grant $G -- sh -ec '{broken}'"
        ))?;
        let broken = Snapshot::take(&granted()?)?;
        must(&format!("{mend} >/dev/null 2>&1 && exit 2; exit 0"))?;
        broken.unchanged().context(*mend)?;
        // e2fsck says with 1 that it has mended something.
        must(&format!(
            "G=$(open --device $DEV --op raw-write) || exit 3
             dbguard exec --grant $G -- {mend} 2>&1; [ $? -le 1 ] || exit 4
             {look} 2>&1 || exit 5"
        ))?;
        ensure!(broken.unchanged().is_err(), "{mend}: nothing was repaired");
    }
    all_closed()
}

/// A drive is wiped by its own means.
pub fn wiped_by_the_drive() -> Result<()> {
    must(
        "D=$(for d in /sys/block/nvme*; do n=/dev/$(basename $d); dbguard check $n >/dev/null && echo $n; done | head -1)
         [ -n \"$D\" ] || { echo no free NVMe drive; exit 77; }
         dd if=$DIR/junk64k of=$D bs=64k count=1 conv=fsync 2>/dev/null && dbguard mark --device $D || exit 1
         nvme format $D --force 2>/dev/null && exit 2; cmp -n 65536 $DIR/junk64k $D || exit 3
         G=$(open --device $D --op passthrough --op raw-write) || exit 4
         dbguard exec --grant $G -- nvme format $D --force || exit 5
         cmp -n 65536 $DIR/junk64k $D && exit 6
         dbguard release --confirm-host $(uname -n) $D",
    )?;
    all_closed()
}

/// The boot loader is written again, on a BIOS host.
pub fn boot_loader() -> Result<()> {
    must(
        "command -v grub-install >/dev/null && [ -d /usr/lib/grub/i386-pc ] || { echo no grub-install for a BIOS; exit 77; }
         R=/dev/$(lsblk -no pkname $(findmnt -no SOURCE /))
         grub-install --target=i386-pc $R >/dev/null 2>&1 && exit 1
         both --device $R --op raw-write --op boot-file || exit 2
         dbguard exec --grant $G -- grub-install --target=i386-pc $R || exit 3",
    )?;
    all_closed()
}

/// A rescue kernel is staged; and taken back, because the test goes on.
pub fn rescue_kernel() -> Result<()> {
    must(
        "command -v kexec >/dev/null || { echo no kexec; exit 77; }
         K=/boot/vmlinuz-$(uname -r); [ -e $K ] || K=$(ls /boot/vmlinuz* | head -1)
         kexec -l $K --reuse-cmdline >/dev/null 2>&1 && exit 1; [ $(cat /sys/kernel/kexec_loaded) = 0 ] || exit 2
         both --host --op kexec || exit 3
         dbguard exec --grant $G -- sh -ec \"kexec -l $K --reuse-cmdline; cat /sys/kernel/kexec_loaded >loaded; kexec -u\" || exit 4
         [ $(cat loaded) = 1 ] && [ $(cat /sys/kernel/kexec_loaded) = 0 ] || exit 5",
    )?;
    all_closed()
}
