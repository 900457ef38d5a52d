//! Cases that are known to fail, each with the reason. A listed case that fails counts as skipped,
//! and says so; one that passes counts as passed. The list is a debt: it only ever shrinks.

/// `(suite, case, why)`.
const FAILING: &[(&str, &str, &str)] = &[
    (
        "legitimate",
        "tables-read",
        "sgdisk -p tries to open for writing before it reads; the refusal is recorded, the table is read",
    ),
    (
        "legitimate",
        "nvme-queries",
        "nvme show-regs sends a fabrics command, which is on no list of read-only opcodes",
    ),
    (
        "legitimate",
        "swap",
        "a disk that was in use a moment ago is refused until the controller has looked again",
    ),
    (
        "legitimate",
        "zram",
        "zramctl finds the device busy; not looked into",
    ),
];

/// Why a case is known to fail, if it is.
pub fn why(suite: &str, case: &str) -> Option<&'static str> {
    FAILING
        .iter()
        .find(|(of, name, _)| *of == suite && *name == case)
        .map(|(_, _, why)| *why)
}
