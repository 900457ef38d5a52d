//! Acts on any block device, whatever it holds.

use super::{Act, Effect, Refusal};
use crate::native::{compat, descriptor, ioctl, uring, write};

/// The few that are tried on every kind of device.
pub const CORE: &[Act] = &[
    Act::shell("dd", "dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync"),
    Act::shell(
        "dd-direct",
        "dd if=$DIR/junk64k of=$DEV bs=64k seek=1 oflag=direct",
    ),
    Act::shell("shell-redirection", "cat $DIR/junk64k >$DEV && sync $DEV"),
    Act::shell(
        "wipefs-force",
        "cp --sparse=never $DIR/junk64k /dev/null; wipefs -af $DEV",
    )
    .effect(Effect::Succeeds),
    Act::shell("mkfs.ext4", "mkfs.ext4 -q -F -F $DEV 8M"),
    Act::shell("blkdiscard", "blkdiscard -f $DEV || blkdiscard -f -z $DEV"),
    Act::node("mapped", write::mapped),
    Act::node("fresh-node", descriptor::fresh_node),
    Act::node("io-uring", uring::write),
    Act::node("BLKDISCARD-ioctl", ioctl::zero_out),
];

/// Writers: everything that opens for writing and writes.
pub const WRITERS: &[Act] = &[
    Act::shell("cp", "cp $DIR/junk64k $DEV && sync $DEV"),
    Act::shell("tee", "tee $DEV <$DIR/junk64k >/dev/null && sync $DEV"),
    Act::shell("cat-append", "cat $DIR/junk64k >>$DEV && sync $DEV"),
    Act::shell(
        "redirection-read-write",
        "cat $DIR/junk64k 1<>$DEV && sync $DEV",
    ),
    Act::shell(
        "redirection-colon",
        "head -c 4096 $DIR/junk >|$DEV && sync $DEV",
    ),
    Act::shell(
        "python",
        "python3 -c 'import os,sys; f=os.open(sys.argv[1],os.O_RDWR); \
         os.pwrite(f,b\"\\xd5\"*4096,8192); os.fsync(f)' $DEV",
    ),
    Act::shell(
        "perl",
        "perl -e 'use IO::Handle; open(F,\"+<\",$ARGV[0]) or die $!; seek(F,65536,0); \
         print F \"\\xd5\"x4096 or die $!; F->flush or die $!; F->sync; close F or die $!' $DEV",
    ),
    Act::shell(
        "truncate-and-dd",
        "truncate -s 0 $DEV 2>/dev/null; dd if=$DIR/junk64k of=$DEV conv=fsync",
    ),
    Act::shell("shred", "shred -n 1 -s 1M $DEV"),
    Act::shell(
        "busybox-dd",
        "busybox dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync",
    ),
    Act::shell("dcfldd", "dcfldd if=$DIR/junk64k of=$DEV && sync $DEV"),
    Act::shell("dc3dd", "dc3dd if=$DIR/junk64k of=$DEV && sync $DEV"),
    Act::shell(
        "ddrescue",
        "rm -f $DIR/map; ddrescue -q --force -s 65536 $DIR/junk64k $DEV && sync $DEV",
    ),
    Act::shell("socat", "socat -u FILE:$DIR/junk64k OPEN:$DEV && sync $DEV"),
    Act::shell("pv", "pv -q $DIR/junk64k >$DEV && sync $DEV"),
    Act::shell(
        "rsync-write-devices",
        "rsync --write-devices --inplace $DIR/junk64k $DEV && sync $DEV",
    ),
    Act::shell(
        "qemu-img-convert",
        "qemu-img convert -n -f raw -O raw $DIR/junk64k $DEV && sync $DEV",
    ),
    Act::shell(
        "qemu-io",
        "qemu-io -f raw -c 'write -P 0xd5 0 64k' -c flush $DEV | grep -q wrote",
    ),
    Act::shell(
        "qemu-img-dd",
        "qemu-img dd -f raw -O raw bs=64k if=$DIR/junk64k of=$DEV && sync $DEV",
    )
    .effect(Effect::Succeeds)
    .refusal(Refusal::Harmless),
    Act::shell("scrub", "scrub -f -S -p fillff -s 65536 $DEV && sync $DEV"),
    Act::shell(
        "wipe",
        "timeout 20 wipe -q -Q 1 -f -i -k -l 64K $DEV && sync $DEV",
    ),
    Act::shell(
        "fio-libaio",
        "fio --name=w --filename=$DEV --allow_file_create=0 --allow_mounted_write=1 --rw=write --bs=64k --size=64k \
         --ioengine=libaio --direct=1 --verify_pattern=0xd5 --buffer_pattern=0xd5 >/dev/null",
    ),
    Act::shell(
        "fio-io-uring",
        "fio --name=w --filename=$DEV --allow_file_create=0 --allow_mounted_write=1 --rw=write --bs=64k --size=64k \
         --ioengine=io_uring --direct=1 --buffer_pattern=0xd5 >/dev/null",
    ),
    Act::shell(
        "partclone",
        "cp $DIR/junk64k $DIR/part; partclone.dd -q -s $DIR/part -o $DEV -L $DIR/partclone.log && sync $DEV",
    ),
    Act::node("pwrite", write::pwrite),
    Act::node("pwrite-direct", write::direct),
    Act::node("open-exclusive", write::exclusive),
    Act::node("open-truncate", write::append_truncate),
    Act::node("writev", write::vectored),
    Act::node("sendfile", write::sendfile),
    Act::node("splice", write::splice),
    Act::node("aio", write::native_aio),
    Act::node("io-uring-worker", uring::write_by_worker),
    Act::node("io-uring-poller", uring::write_by_poller),
    Act::node("compat-write", compat::write),
    Act::node("reopen-proc-fd", descriptor::reopen_proc),
    Act::node("reopen-O_PATH", descriptor::reopen_path),
    Act::node("reopen-task-fd", descriptor::reopen_other_process),
    Act::node("open-by-handle", descriptor::by_handle),
    Act::node("passed-descriptor", descriptor::passed),
    Act::node("from-thread", descriptor::from_thread),
];

/// Discards, ranges and block ioctls.
pub const RANGES: &[Act] = &[
    Act::shell("blkdiscard-force", "blkdiscard -f $DEV"),
    Act::shell("blkdiscard-zero", "blkdiscard -f -z -l 1M $DEV"),
    Act::shell("blkdiscard-secure", "blkdiscard -f -s $DEV")
        .effect(Effect::None("no emulated drive knows secure discard")),
    Act::node("fallocate-zero-range", write::zero_range),
    Act::node("fallocate-punch-hole", write::punch_hole),
    Act::node("BLKDISCARD-write", ioctl::discard),
    Act::node("BLKZEROOUT-write", ioctl::zero_out),
    Act::node("BLKDISCARD-read-only", ioctl::discard_read_only)
        .ops(&["discard"])
        .effect(Effect::None(
            "the kernel asks for a descriptor opened for writing",
        )),
    Act::node("BLKZEROOUT-read-only", ioctl::zero_out_read_only)
        .ops(&["discard"])
        .effect(Effect::None(
            "the kernel asks for a descriptor opened for writing",
        )),
    Act::node("BLKSECDISCARD-read-only", ioctl::secure_discard_read_only)
        .ops(&["discard"])
        .effect(Effect::None(
            "the kernel asks for a descriptor opened for writing",
        )),
    Act::node("invented-ioctl", ioctl::invented)
        .ops(&["passthrough"])
        .effect(Effect::None("no kernel knows the number")),
    Act::node("access-mode-3", descriptor::access_mode_three)
        .ops(&["raw-write", "detach"])
        .effect(Effect::Succeeds),
    Act::shell("setro", "blockdev --setro $DEV && blockdev --setrw $DEV")
        .ops(&["detach"])
        .effect(Effect::Succeeds),
    Act::node("compat-BLKROSET", compat::set_read_only)
        .ops(&["detach"])
        .effect(Effect::Succeeds),
    Act::shell("flushbufs", "blockdev --flushbufs $DEV")
        .effect(Effect::Succeeds)
        .refusal(Refusal::Harmless),
    Act::shell("rereadpt", "blockdev --rereadpt $DEV")
        .effect(Effect::Succeeds)
        .refusal(Refusal::Harmless),
];
