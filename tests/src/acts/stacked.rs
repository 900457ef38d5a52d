//! Other devices laid over the target, and then written.

use super::{Act, Effect};

/// Acts that make a device over another. What they make they take away.
pub const ACTS: &[Act] = &[
    Act::shell(
        "loop-over-disk",
        "L=$(losetup -f --show $DEV) || exit 1; \
         dd if=$DIR/junk64k of=$L bs=64k conv=fsync; r=$?; losetup -d $L; exit $r",
    ),
    Act::shell(
        "loop-remapped",
        "truncate -s 8M $DIR/image; L=$(losetup -f --show $DIR/image); losetup -d $L; udevadm settle; \
         losetup $L $DEV || exit 1; dd if=$DIR/junk64k of=$L bs=64k conv=fsync; r=$?; \
         losetup -d $L; exit $r",
    ),
    Act::shell(
        "dm-linear",
        "echo \"0 16384 linear $DEV 0\" | dmsetup create hostile-$$ || exit 1; \
         dmsetup mknodes; udevadm settle; \
         dd if=$DIR/junk64k of=/dev/mapper/hostile-$$ bs=64k conv=fsync; r=$?; \
         udevadm settle; dmsetup remove --retry hostile-$$; exit $r",
    )
    .ops(&["raw-write", "remap"])
    .elsewhere()
    .limit(60),
    Act::shell(
        "dm-linear-at-once",
        "echo \"0 16384 linear $DEV 0\" | dmsetup create --noudevsync hostile-$$ || exit 1; \
         N=$(dmsetup info -c --noheadings -o minor hostile-$$ | tr -d ' '); \
         dd if=$DIR/junk64k of=/dev/dm-$N bs=64k conv=fsync; r=$?; \
         udevadm settle; dmsetup remove --retry hostile-$$; exit $r",
    )
    .ops(&["raw-write", "remap"])
    .effect(Effect::None("a node that dmsetup has just made is unknown for a moment"))
    .elsewhere()
    .limit(60),
    Act::shell(
        "md-build-over",
        "mdadm --build /dev/md/hostile --run --force --level=1 --raid-devices=2 $DEV missing </dev/null \
         || exit 1; dd if=$DIR/junk64k of=/dev/md/hostile bs=64k conv=fsync; r=$?; \
         mdadm --stop /dev/md/hostile; exit $r",
    )
    .ops(&["raw-write", "remap"])
    .elsewhere()
    .limit(60),
    Act::shell(
        "qemu-nbd",
        "modprobe nbd nbds_max=2; rm -f $DIR/nbd.pid; \
         qemu-nbd --fork --pid-file=$DIR/nbd.pid -f raw -c /dev/nbd0 $DEV || exit 1; \
         for i in $(seq 50); do [ $(blockdev --getsize64 /dev/nbd0) = 0 ] || break; sleep 0.1; done; \
         dd if=$DIR/junk64k of=/dev/nbd0 bs=64k conv=fsync; r=$?; qemu-nbd -d /dev/nbd0; sleep 1; \
         exit $r",
    )
    .limit(60),
    Act::shell(
        "swap-then-swapon",
        "mkswap -q -f $DEV && swapon $DEV && swapoff $DEV",
    ),
    Act::shell("crypt-plain", "echo -n secret | cryptsetup -q open --type plain --key-file - --key-size 256 --cipher aes-cbc-plain $DEV hostile-plain || exit 1; \
         dd if=$DIR/junk64k of=/dev/mapper/hostile-plain bs=64k conv=fsync; r=$?; \
         udevadm settle; cryptsetup close hostile-plain; exit $r")
        .ops(&["raw-write", "remap"])
    .elsewhere()
        .limit(60),
];

/// What LVM's verbs do to a volume group in use: `$VG`-less, the names are those of the fixture.
pub const LVM: &[Act] = &[
    Act::shell("lvremove", "lvremove -f -y vgcrit/lvcrit").effect(FIXTURE),
    Act::shell("lvreduce", "lvreduce -f -y -L 8M vgcrit/lvcrit").effect(FIXTURE),
    Act::shell("lvresize-shrink", "lvresize -f -y -L 8M vgcrit/lvcrit").effect(FIXTURE),
    // What a running server feels, or the next boot misses.
    Act::shell("lvchange-read-only", "lvchange -y -p r vgcrit/lvcrit").effect(FIXTURE),
    Act::shell("lvchange-read-only-long", "lvchange -y --permission=r vgcrit/lvcrit").effect(FIXTURE),
    Act::shell("vgchange-system", "vgchange -y --systemid elsewhere vgcrit").effect(FIXTURE),
    Act::shell("vgchange-uuid", "vgchange -y -u vgcrit").effect(FIXTURE),
    Act::shell("vgremove", "vgremove -ff -y vgcrit").effect(FIXTURE),
    Act::shell("pvremove", "pvremove -ff -y $DEV").effect(FIXTURE),
    Act::shell("pvcreate", "pvcreate -ff -y $DEV").effect(FIXTURE),
    Act::shell("vgcreate-over", "vgcreate -ff -y vgother $DEV").effect(FIXTURE),
    Act::shell("lvm-shell", "echo 'lvremove -f -y vgcrit/lvcrit' | lvm")
        .effect(FIXTURE)
        .refusal(super::Refusal::DeniedQuietly),
    Act::shell("lvm-multicall", "lvm lvremove -f -y vgcrit/lvcrit").effect(FIXTURE),
    Act::shell("lvremove-by-path", "lvremove -f -y /dev/vgcrit/lvcrit").effect(FIXTURE),
    Act::shell("lvremove-by-tag", "lvremove -f -y @all vgcrit").effect(FIXTURE),
    Act::shell(
        "lvcreate-renamed",
        "ln -sf $(command -v lvm) $DIR/lvcreate; $DIR/lvcreate --version >/dev/null; \
         bash -c 'exec -a lvcreate $(command -v lvm) lvremove -f -y vgcrit/lvcrit'",
    )
    .effect(FIXTURE)
    .refusal(super::Refusal::Harmless),
    Act::shell(
        "vgcfgrestore",
        "vgcfgbackup -q -f $DIR/vgcrit.cfg vgcrit; vgcfgrestore -y -f $DIR/vgcrit.cfg --force vgcrit",
    )
    .effect(FIXTURE),
];

const FIXTURE: Effect = Effect::None("would destroy the fixture itself");
