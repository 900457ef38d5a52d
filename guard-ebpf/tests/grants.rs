//! What a process may after exec, over all combinations of the grants that have rules.

use guard_abi::tool_grant as grant;
use guard_ebpf::grants::after_exec;

const BITS: [u32; 6] = [
    grant::BOOT_FILES,
    grant::BOOT_STATE,
    grant::PACKAGES,
    grant::BOOT_SECTOR,
    grant::REVOKED,
    grant::LVM,
];

fn sets() -> impl Iterator<Item = u32> + Clone {
    (0_u32..1 << BITS.len()).map(|n| {
        let chosen = BITS.iter().enumerate().filter(|(at, _)| n >> at & 1 == 1);
        chosen.map(|(_, bit)| bit).sum()
    })
}

fn each(mut check: impl FnMut(u32, u32, u32, u32)) {
    for own in sets() {
        for script in sets() {
            for kept in sets() {
                check(own, script, kept, after_exec(own, script, kept));
            }
        }
    }
}

#[test]
fn only_what_is_kept_survives() {
    each(|own, script, kept, after| {
        let allowed = own | script | kept & grant::KEPT_AT_EXEC;
        assert_eq!(after & !allowed, 0, "{own:#x} {script:#x} {kept:#x}");
    });
    assert_eq!(after_exec(0, 0, grant::LVM), 0);
    assert_eq!(after_exec(0, 0, grant::BOOT_FILES), grant::BOOT_FILES);
}

#[test]
fn revoked_takes_what_would_be_kept_and_is_no_grant() {
    each(|own, script, kept, after| {
        assert_eq!(after & grant::REVOKED, 0);
        if (own | script) & grant::REVOKED != 0 {
            assert_eq!(after & !(own | script), 0, "{own:#x} {script:#x} {kept:#x}");
        }
    });
}

#[test]
fn boot_sectors_are_for_package_managers_alone() {
    each(|_, _, _, after| {
        assert!(after & grant::BOOT_SECTOR == 0 || after & grant::PACKAGES != 0);
    });
    assert_eq!(after_exec(grant::BOOT_SECTOR, 0, 0), 0);
    assert_eq!(
        after_exec(grant::BOOT_SECTOR, 0, grant::BOOT_FILES),
        grant::BOOT_FILES
    );
    assert_ne!(
        after_exec(grant::BOOT_SECTOR, 0, grant::PACKAGES) & grant::BOOT_SECTOR,
        0
    );
}
