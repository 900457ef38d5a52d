//! Cases that are known to fail, each with the reason. A listed case that fails counts as skipped,
//! and says so; one that passes counts as passed. The list is a debt: it only ever shrinks.
//!
//! No case that compares bytes may stand here for having found them changed.

/// A device that leaves use stays protected until the controller has looked again, some
/// milliseconds later; a script that uses it again at once is refused.
const LOOKED_AT_TOO_EARLY: &str = "a device in use a moment ago is refused until looked at again";
/// The kernel or the tool declines before the guard is asked, so there is no refusal to find.
const DECLINED_BEFORE: &str = "declined before the guard is asked, which the case does not expect";

/// Opening a node is what makes an array that does not exist yet; the guard is asked before there is
/// a device that could begin free.
const NEW_ARRAY: &str = "mdadm is refused the node of an array that it is about to make";

/// `(suite, case, why)`.
const FAILING: &[(&str, &str, &str)] = &[
    ("legitimate", "loop", LOOKED_AT_TOO_EARLY),
    (
        "legitimate",
        "zram",
        "zramctl finds the device busy; not looked into",
    ),
    ("destruction-scsi", "free-mdadm-create", NEW_ARRAY),
    ("destruction-scsi", "free-md-build-over", NEW_ARRAY),
    ("destruction-scsi", "mdadm-create", NEW_ARRAY),
    ("destruction-scsi", "md-build-over", NEW_ARRAY),
    (
        "destruction-scsi",
        "free-dm-linear-at-once",
        LOOKED_AT_TOO_EARLY,
    ),
    ("destruction-scsi", "dm-linear-at-once", DECLINED_BEFORE),
    ("live", "disk-dm-linear", DECLINED_BEFORE),
    ("live", "disk-dm-linear-at-once", DECLINED_BEFORE),
    ("live", "partition-dm-linear", DECLINED_BEFORE),
    ("live", "partition-dm-linear-at-once", DECLINED_BEFORE),
    ("live", "partition-fio-libaio", DECLINED_BEFORE),
    ("live", "partition-fio-io-uring", DECLINED_BEFORE),
    ("live", "partition-mkfs.xfs", DECLINED_BEFORE),
    ("live", "partition-mkfs.f2fs", DECLINED_BEFORE),
    ("live", "partition-mdadm-create", DECLINED_BEFORE),
    ("live", "partition-swapon", DECLINED_BEFORE),
    (
        "live",
        "partition-tune2fs-label",
        "the label of a mounted file system is set through the file system (FS_IOC_SETFSLABEL)",
    ),
];

/// Why a case is known to fail, if it is.
pub fn why(suite: &str, case: &str) -> Option<&'static str> {
    FAILING
        .iter()
        .find(|(of, name, _)| *of == suite && *name == case)
        .map(|(_, _, why)| *why)
}
