//! Commands passed to a SCSI disk. `$DEV` is the disk, `$SG` its sg node, `$BSG` its bsg node.

use anyhow::{Context, Result};

use super::{Act, Effect, Target};
use crate::native::{compat, scsi};

const OPS: &[&str] = &["passthrough", "raw-write"];

fn sg(target: &Target) -> Result<&std::path::Path> {
    target
        .pass
        .sg
        .as_deref()
        .context("the disk has no sg node: modprobe sg")
}

fn bsg(target: &Target) -> Result<&std::path::Path> {
    target
        .pass
        .bsg
        .as_deref()
        .context("the disk has no bsg node")
}

const NO_FORMAT: Effect = Effect::None("QEMU's disk has no such command");

/// All of them.
pub const ACTS: &[Act] = &[
    Act::shell("sg_dd-sg", "sg_dd if=$DIR/junk64k of=$SG bs=512 count=128").ops(OPS),
    Act::shell(
        "sg_dd-block-sgio",
        "sg_dd if=$DIR/junk64k of=$DEV bs=512 count=128 blk_sgio=1",
    )
    .ops(OPS),
    Act::shell("sgp_dd", "sgp_dd if=$DIR/junk64k of=$SG bs=512 count=128").ops(OPS),
    Act::shell(
        "sg_raw-write-block",
        "sg_raw -R -s 4096 -i $DIR/junk64k $DEV 2a 00 00 00 00 00 00 00 08 00",
    )
    .ops(OPS),
    Act::shell(
        "sg_raw-write-sg",
        "sg_raw -R -s 4096 -i $DIR/junk64k $SG 2a 00 00 00 00 00 00 00 08 00",
    )
    .ops(OPS),
    Act::shell(
        "sg_raw-write-bsg",
        "sg_raw -R -s 4096 -i $DIR/junk64k $BSG 2a 00 00 00 00 00 00 00 08 00",
    )
    .ops(OPS),
    Act::shell(
        "sg_raw-write16",
        "sg_raw -R -s 4096 -i $DIR/junk64k $SG 8a 00 00 00 00 00 00 00 00 00 00 00 00 08 00 00",
    )
    .ops(OPS),
    Act::shell("sg_unmap-sg", "sg_unmap --lba=0 --num=2048 --force $SG").ops(OPS),
    Act::shell("sg_unmap-block", "sg_unmap --lba=0 --num=2048 --force $DEV").ops(OPS),
    Act::shell("sg_write_same", "sg_write_same --10 --lba=0 --num=128 $SG").ops(OPS),
    Act::shell(
        "sg_write_same-unmap",
        "sg_write_same --16 --unmap --lba=0 --num=128 $SG",
    )
    .ops(OPS)
    .effect(Effect::Succeeds),
    Act::shell("sg_format", "sg_format --format --early $SG")
        .ops(OPS)
        .effect(NO_FORMAT),
    Act::shell("sg_sanitize", "sg_sanitize --block --quick --early $SG")
        .ops(OPS)
        .effect(NO_FORMAT),
    Act::shell(
        "sg_write_buffer",
        "sg_write_buffer --mode=5 --in=$DIR/junk64k --length=4096 $SG",
    )
    .ops(OPS)
    .effect(NO_FORMAT),
    Act::shell(
        "sg_write_verify",
        "sg_write_verify --16 --lba=0 --num=8 --in=$DIR/junk64k $SG",
    )
    .ops(OPS),
    Act::shell(
        "sg_wr_mode",
        "sg_wr_mode --page=8 --contents=88,12,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 --save $SG",
    )
    .ops(OPS)
    .effect(NO_FORMAT),
    Act::shell(
        "sg_start-stop",
        "sg_start --stop $SG; r=$?; sg_start --start $SG; exit $r",
    )
    .ops(OPS)
    .effect(Effect::Succeeds),
    Act::shell("sg_reset-device", "sg_reset --device $SG")
        .ops(&["detach", "passthrough", "raw-write"])
        .effect(Effect::Succeeds),
    Act::shell("sg_reset-block", "sg_reset --device $DEV")
        .ops(&["detach", "passthrough", "raw-write"])
        .effect(Effect::Succeeds),
    Act::shell(
        "hdparm-security-erase",
        "hdparm --user-master u --security-erase NULL $DEV",
    )
    .ops(OPS)
    .effect(NO_FORMAT),
    Act::shell(
        "hdparm-write-sector",
        "hdparm --yes-i-know-what-i-am-doing --write-sector 0 $DEV",
    )
    .ops(OPS)
    .effect(NO_FORMAT),
    Act::shell(
        "hdparm-trim",
        "hdparm --please-destroy-my-drive --trim-sector-ranges 0:8 $DEV",
    )
    .ops(OPS)
    .effect(NO_FORMAT),
    Act::shell(
        "hdparm-dco",
        "hdparm --yes-i-know-what-i-am-doing --dco-restore $DEV",
    )
    .ops(OPS)
    .effect(NO_FORMAT),
    Act::target("SG_IO-block", |t| scsi::sg_io(&t.whole.node)).ops(OPS),
    Act::target("SG_IO-sg", |t| scsi::sg_io(sg(t)?)).ops(OPS),
    Act::target("SG_IO-bsg", |t| scsi::bsg(bsg(t)?)).ops(OPS),
    Act::target("SG_IO-unreadable-cdb", |t| {
        scsi::sg_io_unreadable(&t.whole.node)
    })
    .ops(OPS)
    .effect(Effect::None("the kernel cannot read it either")),
    Act::target("sg-write-call", |t| scsi::sg_write_call(sg(t)?)).ops(OPS),
    Act::target("SEND_COMMAND", |t| scsi::send_command(&t.whole.node)).ops(OPS),
    Act::target("compat-SG_IO-block", |t| compat::scsi_write(&t.whole.node)).ops(OPS),
    Act::target("compat-SG_IO-sg", |t| compat::scsi_write(sg(t)?)).ops(OPS),
];

/// Sent to a partition, a command reaches the whole disk all the same.
pub const PARTITION: &[Act] = &[
    Act::target("SG_IO-partition", |t| {
        scsi::sg_io(&t.whole.partition(1)?.node)
    })
    .ops(OPS),
    Act::shell(
        "sg_raw-partition",
        "sg_raw -R -s 4096 -i $DIR/junk64k ${PART}1 2a 00 00 00 00 00 00 00 08 00",
    )
    .ops(OPS),
];
