//! Commands passed to an NVMe drive. `$DEV` is the namespace, `$NG` its generic node, `$CTRL` the
//! controller.

use anyhow::{Context, Result};

use super::{Act, Effect, Refusal, Target};
use crate::harness::case::skip;
use crate::native::{compat, nvme, uring};

/// One of them is what the guard names.
const OPS: &[&str] = &["passthrough"];

pub(super) fn generic(target: &Target) -> Result<&std::path::Path> {
    // From 5.13 on (drivers/nvme/host/core.c `nvme_cdev_add`).
    if !std::path::Path::new("/sys/class/nvme-generic").exists() {
        return Err(skip("this kernel has no generic NVMe nodes"));
    }
    target
        .pass
        .generic
        .as_deref()
        .context("the disk has no generic node")
}

fn controller(target: &Target) -> Result<&std::path::Path> {
    target
        .pass
        .controller
        .as_deref()
        .context("the disk has no controller node")
}

/// All of them.
pub const ACTS: &[Act] = &[
    Act::shell("nvme-format", "nvme format $DEV -n 1 -s 0 -f").ops(OPS),
    Act::shell("nvme-format-ng", "nvme format $NG -n 1 -s 0 -f").ops(OPS),
    Act::shell("nvme-format-controller", "nvme format $CTRL -n 1 -s 0 -f").ops(OPS),
    Act::shell("nvme-format-crypto", "nvme format $DEV -n 1 -s 2 -f")
        .ops(OPS)
        .effect(Effect::Succeeds),
    Act::shell("nvme-sanitize", "nvme sanitize $CTRL -a 2")
        .ops(OPS)
        .effect(Effect::None("QEMU's drive has no Sanitize")),
    Act::shell(
        "nvme-write-zeroes",
        "nvme write-zeroes $DEV -n 1 -s 0 -c 127",
    )
    .ops(OPS),
    Act::shell(
        "nvme-write-zeroes-ng",
        "nvme write-zeroes $NG -n 1 -s 0 -c 127",
    )
    .ops(OPS),
    Act::shell("nvme-dsm", "nvme dsm $DEV -n 1 -d 1 -s 0 -b 2048").ops(OPS),
    Act::shell(
        "nvme-write",
        "nvme write $DEV --force -s 0 -c 7 -z 4096 -d $DIR/junk64k",
    )
    .ops(OPS),
    Act::shell("nvme-write-uncor", "nvme write-uncor $DEV -n 1 -s 0 -c 7")
        .ops(OPS)
        .effect(Effect::None("QEMU's drive has no Write Uncorrectable")),
    Act::shell("nvme-copy", "nvme copy $DEV -d 64 -s 128 -b 7")
        .ops(OPS)
        .effect(Effect::Succeeds),
    Act::shell(
        "nvme-io-passthru",
        "nvme io-passthru $DEV -o 0x01 -n 1 -w -l 4096 -i $DIR/junk64k --cdw10=0 --cdw12=7",
    )
    .ops(OPS),
    Act::shell(
        "nvme-io-passthru-ng",
        "nvme io-passthru $NG -o 0x01 -n 1 -w -l 4096 -i $DIR/junk64k --cdw10=0 --cdw12=7",
    )
    .ops(OPS),
    Act::shell(
        "nvme-io-passthru-controller",
        "nvme io-passthru $CTRL -o 0x01 -n 1 -w -l 4096 -i $DIR/junk64k --cdw10=0 --cdw12=7",
    )
    .ops(OPS),
    Act::shell(
        "nvme-admin-passthru",
        "nvme admin-passthru $CTRL -o 0x80 -n 1",
    )
    .ops(OPS),
    Act::shell(
        "nvme-admin-passthru-block",
        "nvme admin-passthru $DEV -o 0x80 -n 1",
    )
    .ops(OPS),
    Act::shell("nvme-delete-ns", "nvme delete-ns $CTRL -n 1")
        .ops(OPS)
        .effect(Effect::None("QEMU's drive has no namespace management")),
    Act::shell("nvme-detach-ns", "nvme detach-ns $CTRL -n 1 -c 0")
        .ops(OPS)
        .effect(Effect::None(
            "would take the disk away from the cases after it",
        )),
    Act::shell("nvme-set-feature", "nvme set-feature $CTRL -f 6 -v 0")
        .ops(OPS)
        .effect(Effect::Succeeds),
    Act::shell(
        "nvme-security-send",
        "nvme security-send $CTRL -p 0 -s 0 -t 4096 -f $DIR/junk64k",
    )
    .ops(OPS)
    .effect(Effect::None("QEMU's drive has no Security Send")),
    Act::shell("nvme-fw-download", "nvme fw-download $CTRL -f $DIR/junk64k")
        .ops(OPS)
        .effect(Effect::None("QEMU's drive takes no firmware")),
    Act::shell("nvme-fw-commit", "nvme fw-commit $CTRL -s 1 -a 1")
        .ops(OPS)
        .effect(Effect::None("QEMU's drive takes no firmware")),
    Act::shell("nvme-reset", "nvme reset $CTRL")
        .ops(&["detach"])
        .effect(Effect::None("resets the drive under the cases after it")),
    Act::shell("nvme-subsystem-reset", "nvme subsystem-reset $CTRL")
        .ops(&["detach"])
        .effect(Effect::None("resets the drive under the cases after it")),
    Act::shell("nvme-ns-rescan", "nvme ns-rescan $CTRL")
        .effect(Effect::Succeeds)
        .refusal(Refusal::Harmless),
    Act::target("IO_CMD-block", |t| nvme::io_command(&t.whole.node)).ops(OPS),
    Act::target("IO_CMD-generic", |t| nvme::io_command(generic(t)?)).ops(OPS),
    Act::target("IO64_CMD-block", |t| nvme::io_command_64(&t.whole.node)).ops(OPS),
    Act::target("SUBMIT_IO-block", |t| nvme::submit_io(&t.whole.node)).ops(OPS),
    Act::target("ADMIN_CMD-format", |t| nvme::format(controller(t)?)).ops(OPS),
    Act::target("ADMIN64_CMD-format", |t| nvme::format_64(&t.whole.node)).ops(OPS),
    Act::target("vendor-opcode", |t| nvme::vendor(controller(t)?))
        .ops(OPS)
        .effect(Effect::None("QEMU's drive has no vendor commands")),
    Act::target("uring-cmd-write", |t| uring::nvme_write(generic(t)?)).ops(OPS),
    Act::target("uring-cmd-format", |t| uring::nvme_format(controller(t)?)).ops(OPS),
    Act::target("compat-IO_CMD", |t| compat::nvme_write(&t.whole.node)).ops(OPS),
    Act::target("compat-IO_CMD-generic", |t| compat::nvme_write(generic(t)?)).ops(OPS),
];
