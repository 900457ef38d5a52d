//! Ways to change boot files that are refused.

use super::attempt;
use crate::harness::case::Case;

/// Name and script. `$B` is the boot directory, `$ESP` a mounted EFI system partition, `$SCRIPTS`
/// the directory of the configuration's scripts, `$HARD` another name of a file below `$B`.
const ACTS: &[(&str, &str)] = &[
    ("append", "echo 'menuentry installer {}' >>$B/grub/grub.cfg"),
    ("overwrite", "dd if=/dev/zero of=$B/vmlinuz-guest bs=4k count=1 conv=notrunc"),
    ("truncate-by-open", ": >$B/grub/grub.cfg"),
    (
        "truncate-by-path",
        "python3 -c 'import os,sys; os.truncate(sys.argv[1], 1)' $B/grub/grub.cfg",
    ),
    ("sed-in-place", "sed -i s/default=0/default=1/ $B/grub/grub.cfg"),
    ("new-kernel", "cp /bin/true $B/vmlinuz-installer"),
    ("kernel-over", "echo x >$DIR/k; mv -f $DIR/k $B/vmlinuz-guest"),
    ("moved-away", "mv $B/vmlinuz-guest $DIR/taken"),
    ("directory-moved-away", "mv $B/grub $DIR/taken-grub-$$"),
    ("exchanged", "python3 -c '
import ctypes,os,sys
open(sys.argv[1],\"w\").write(\"x\")
libc=ctypes.CDLL(None,use_errno=True)
sys.exit(libc.renameat2(-100,sys.argv[1].encode(),-100,sys.argv[2].encode(),2) and os.strerror(ctypes.get_errno()))' $DIR/k $B/grub/i386-pc/normal.mod"),
    ("removed", "rm $B/loader/entries/a.conf"),
    ("all-removed", "rm -rf $B/grub/*"),
    ("directory", "mkdir $B/debian-installer"),
    ("directory-removed", "rmdir $B/loader/empty"),
    ("directory-moved-in", "rm -rf $DIR/moved; mkdir $DIR/moved; mv $DIR/moved $B/loader/"),
    ("fifo", "mkfifo $B/grub/fifo"),
    ("symbolic-link", "ln -s /tmp/x $B/vmlinuz"),
    ("hard-link-into", "echo x >$DIR/k; ln $DIR/k $B/initrd.img"),
    ("hard-link-out", "rm -f $DIR/outside; ln $B/vmlinuz-guest $DIR/outside && echo x >>$DIR/outside"),
    ("old-hard-link", "echo x >>$HARD"),
    ("bind-mount", "mkdir -p /mnt/b; mount --bind $B /mnt/b; echo x >>/mnt/b/grub/grub.cfg; r=$?; umount /mnt/b; exit $r"),
    ("mount-namespace", "unshare -m sh -c 'mount -t tmpfs none /tmp; echo x >>$B/grub/grub.cfg'"),
    (
        "container",
        "systemd-nspawn -q --register=no --keep-unit -D /root/guest-suite/container --bind=$B:/b \
         /bin/busybox sh -c 'echo x >>/b/grub/grub.cfg'",
    ),
    (
        "by-handle",
        "echo 2 >/proc/sys/vm/drop_caches; python3 - $B/grub/i386-pc/normal.mod <<'PY'\n\
import ctypes, os, sys\n\
libc = ctypes.CDLL(None, use_errno=True)\n\
class Handle(ctypes.Structure): _fields_ = [('bytes', ctypes.c_uint), ('kind', ctypes.c_int), ('f', ctypes.c_ubyte * 128)]\n\
handle = Handle(128); mount = ctypes.c_int()\n\
if libc.name_to_handle_at(-100, sys.argv[1].encode(), ctypes.byref(handle), ctypes.byref(mount), 0): sys.exit('handle')\n\
open('/proc/sys/vm/drop_caches', 'w').write('2')\n\
directory = os.open('/root', os.O_RDONLY)\n\
fd = libc.open_by_handle_at(directory, ctypes.byref(handle), os.O_WRONLY | os.O_APPEND)\n\
if fd < 0: sys.exit(os.strerror(ctypes.get_errno()))\n\
os.write(fd, b'x')\n\
PY",
    ),
    ("grubenv-by-hand", "printf x | dd of=$B/grub/grubenv bs=1 seek=100 conv=notrunc"),
    ("grubenv-set", "grub-editenv $B/grub/grubenv set next_entry=installer"),
    ("grubenv-create", "grub-editenv $B/grub/grubenv create"),
    ("grub-reboot", "grub-reboot --boot-directory=$B installer"),
    ("grub-set-default", "grub-set-default --boot-directory=$B installer"),
    (
        "grub-install",
        "grub-install --target=i386-pc --boot-directory=$B --grub-setup=/bin/true --no-floppy \
         $(readlink -f /dev/disk/by-role/root)",
    ),
    ("script-by-its-interpreter", "printf 'echo x >>%s/grub/grub.cfg\\n' $B >$DIR/update-grub; bash $DIR/update-grub"),
    ("script-of-that-name", "printf '#!/bin/sh\\necho x >>%s/grub/grub.cfg\\n' $B >$DIR/update-grub; chmod 755 $DIR/update-grub; $DIR/update-grub"),
    ("koan", "printf '#!/bin/sh\\necho menuentry koan\\n' >$SCRIPTS/42_koan; chmod 755 $SCRIPTS/42_koan"),
    ("esp-loader", "echo x >$ESP/EFI/guest/grubx64.efi"),
    ("esp-loader-in-capitals", "cd $ESP; echo x >>EFI/GUEST/GRUBX64.EFI"),
    ("esp-after-eviction", "sync; echo 2 >/proc/sys/vm/drop_caches; echo x >>$ESP/loader/loader.conf"),
    ("esp-new-file", "mkdir -p $ESP/EFI/BOOT && cp /bin/true $ESP/EFI/BOOT/BOOTX64.EFI"),
    ("esp-entry", "echo 'options inst.ks=http://x' >$ESP/loader/entries/installer.conf"),
    ("esp-renamed", "mv $ESP/EFI $ESP/OLD"),
    ("esp-removed", "rm -rf $ESP/EFI"),
    (
        "esp-elsewhere",
        "D=$(findmnt -no SOURCE $ESP); umount $ESP; mkdir -p /mnt/e; mount $D /mnt/e; echo x >>/mnt/e/loader/loader.conf; r=$?
         umount /mnt/e; mount $D $ESP; exit $r",
    ),
];

/// The cases.
/// At least one for each hook, performed on every kernel. The others are other ways to the same.
const ONE_A_HOOK: &[&str] = &[
    "append",
    "truncate-by-path",
    "new-kernel",
    "kernel-over",
    "exchanged",
    "removed",
    "directory",
    "directory-removed",
    "directory-moved-in",
    "fifo",
    "symbolic-link",
    "hard-link-into",
    "hard-link-out",
    "by-handle",
    "esp-loader-in-capitals",
    "esp-new-file",
];

pub(super) fn cases() -> Vec<Case> {
    ACTS.iter()
        .map(|(name, text)| {
            let case = Case::test(*name, || attempt(text)).limit(100);
            if ONE_A_HOOK.contains(name) {
                case
            } else {
                case.once()
            }
        })
        .collect()
}
