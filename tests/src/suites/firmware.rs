//! What decides about the next boot outside the disks: firmware variables and the BMC. The suite
//! needs a guest with both.

use anyhow::{Context, Result, bail, ensure};

use crate::harness::case::{Breadth, Case};
use crate::harness::shell::Script;
use crate::harness::{audit, guard};
use crate::native::control;
use crate::suites::fixture::{self, Shared};
use crate::suites::signing;

/// Variables of every script: where firmware variables are, and the GUIDs of the owners of those
/// that matter (UEFI 2.10, 3.3; <https://systemd.io/BOOT_LOADER_INTERFACE>).
const VARIABLES: &str = "set -eu
    V=/sys/firmware/efi/efivars; EFI=8be4df61-93ca-11d2-aa0d-00e098032b8c
    LOADER=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
    # A variable with attributes non-volatile, boot and runtime, and two zero bytes.
    set_variable() { printf '\\7\\0\\0\\0\\0\\0' >$V/$1; }
    ";

/// An act: the class that its record names, and the script, which must fail.
struct Act {
    name: &'static str,
    op: &'static str,
    script: &'static str,
    breadth: Breadth,
}

impl Act {
    /// The same, tried on one configuration: others ask the same hook in the same way.
    const fn once(mut self) -> Self {
        self.breadth = Breadth::Once;
        self
    }
}

const fn variable(name: &'static str, script: &'static str) -> Act {
    Act {
        name,
        op: "firmware",
        script,
        breadth: Breadth::Every,
    }
}

const fn bmc(name: &'static str, script: &'static str) -> Act {
    Act {
        name,
        op: "bmc",
        script,
        breadth: Breadth::Every,
    }
}

const ACTS: &[Act] = &[
    variable("next-boot", "efibootmgr -n 0000"),
    variable("next-boot-by-hand", "set_variable BootNext-$EFI"),
    variable("boot-order", "efibootmgr -o 0000"),
    variable("boot-order-deleted", "efibootmgr -O").once(),
    variable("boot-entry-made", "efibootmgr -c -d /dev/disk/by-role/root -p 2 -L installer -l '\\EFI\\debian\\grubx64.efi'"),
    variable("boot-entry-switched-off", "efibootmgr -A -b 0000").once(),
    variable("boot-entry-deleted", "efibootmgr -B -b 0000").once(),
    variable("timeout", "efibootmgr -t 5").once(),
    variable("one-shot-entry", "set_variable LoaderEntryOneShot-$LOADER"),
    variable("default-entry", "set_variable LoaderEntryDefault-$LOADER").once(),
    variable("firmware-setup", "set_variable OsIndications-$EFI").once(),
    variable("factory-reset", "set_variable FactoryResetRequest-8cf2644b-4b0b-428f-9387-6d876050dc67"),
    // The immutable flag that efivarfs sets (fs/efivarfs/inode.c) goes first.
    variable("order-removed-by-hand", "chattr -i $V/BootOrder-$EFI; rm -f $V/BootOrder-$EFI; [ ! -e $V/BootOrder-$EFI ]"),
    variable(
        "through-another-mount",
        "mkdir -p /mnt/efivars; mount -t efivarfs efivarfs /mnt/efivars; r=0
         printf '\\7\\0\\0\\0\\0\\0' >/mnt/efivars/BootNext-$EFI || r=$?; umount /mnt/efivars; exit $r",
    ),
    // What a package's script may is about entries and their order.
    variable(
        "next-boot-inside-a-package",
        "P=/root/guest-suite/firmware; rm -rf $P; mkdir -p $P/DEBIAN
         printf 'Package: guest-firmware\\nVersion: 1\\nArchitecture: all\\nMaintainer: guest <root@db1>\\nDescription: x\\n' >$P/DEBIAN/control
         printf '#!/bin/sh\\nefibootmgr -n 0000\\n' >$P/DEBIAN/postinst; chmod 755 $P/DEBIAN/postinst
         dpkg-deb --root-owner-group -b $P $P.deb >/dev/null; r=0; dpkg -i $P.deb || r=$?; dpkg -r guest-firmware; exit $r",
    ),
    bmc("boot-device", "ipmitool chassis bootdev pxe"),
    bmc("boot-parameters", "ipmitool chassis bootparam set bootflag force_pxe").once(),
    bmc("power-off", "ipmitool chassis power off").once(),
    bmc("power-cycle", "ipmitool chassis power cycle"),
    bmc("power-reset", "ipmitool chassis power reset").once(),
    bmc("power-soft", "ipmitool chassis power soft").once(),
    bmc("raw-power-off", "ipmitool raw 0 2 0").once(),
    // The same sent on to another controller: Send Message, bridged.
    bmc("bridged-power-cycle", "ipmitool raw 6 0x34 0 0x20 0 0xe0 0x81 0 2 2"),
    Act {
        name: "flash-over-a-protected-disk",
        op: "remap",
        script: "modprobe block2mtd; echo /dev/disk/by-role/data >/sys/module/block2mtd/parameters/block2mtd; ls /dev/mtd0",
        breadth: Breadth::Every,
    },
    Act {
        name: "flash-written",
        op: "firmware",
        script: "truncate -s 4M /root/flash; L=$(losetup -f --show /root/flash)
         modprobe block2mtd; echo $L,4096 >/sys/module/block2mtd/parameters/block2mtd; udevadm settle
         r=0; dd if=/dev/zero of=/dev/mtd0 bs=4096 count=1 || r=$?; dd if=/dev/mtd0 of=/dev/null bs=4096 count=1
         modprobe -r block2mtd; losetup -d $L; rm /root/flash; exit $r",
        breadth: Breadth::Every,
    },
];

/// Work that must go on.
const WORK: &[(&str, &str)] = &[
    (
        "variables-read",
        "efibootmgr -v >/dev/null; cat $V/BootOrder-$EFI >/dev/null; bootctl --no-pager status >/dev/null",
    ),
    (
        "boot-entry-by-a-package",
        r"P=/root/guest-suite/entry; rm -rf $P; mkdir -p $P/DEBIAN
         printf 'Package: guest-entry\nVersion: 1\nArchitecture: all\nMaintainer: guest <root@db1>\nDescription: x\n' >$P/DEBIAN/control
         cat >$P/DEBIAN/postinst <<'S'
#!/bin/sh
efibootmgr -q -c -d $(readlink -f /dev/disk/by-role/root) -p 2 -L packaged -l '\EFI\debian\grubx64.efi'
S
         cat >$P/DEBIAN/prerm <<'S'
#!/bin/sh
efibootmgr -q -B -b $(efibootmgr | sed -n 's/^Boot\(....\).*packaged.*/\1/p')
S
         chmod 755 $P/DEBIAN/postinst $P/DEBIAN/prerm; dpkg-deb --root-owner-group -b $P $P.deb >/dev/null
         dpkg -i $P.deb; efibootmgr | grep -q packaged; dpkg -r guest-entry; ! efibootmgr | grep packaged",
    ),
    (
        "bmc-read",
        "ipmitool mc info >/dev/null; ipmitool chassis status >/dev/null; ipmitool sel info >/dev/null; ipmitool raw 6 1 >/dev/null",
    ),
    ("bmc-watchdog", "ipmitool mc watchdog get >/dev/null"),
];

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::prepare("prepare", prepare)];
    // How everything is, as the last act has left it.
    let last: Shared<String> = Shared::default();
    cases.extend(ACTS.iter().map(|act| {
        let last = last.clone();
        Case::test(act.name, move || perform(act, &last)).breadth(act.breadth)
    }));
    cases.push(Case::test("power-off-by-ioctl", power_off_by_ioctl));
    cases.extend(WORK.iter().map(|(name, script)| {
        Case::test(*name, || {
            let mark = audit::mark();
            run(script)?;
            audit::nothing_refused(mark)
        })
    }));
    // It makes boot entries anew: what compares them comes before.
    cases.push(
        Case::test("boot-loader-under-a-grant", boot_loader_under_a_grant)
            .limit(240)
            .breadth(Breadth::Once),
    );
    cases
}

/// A recipe of docs/break-glass.md: the boot loader is written again, its files and its boot entry.
fn boot_loader_under_a_grant() -> Result<()> {
    signing::prepare()?;
    let text = format!(
        "{VARIABLES}{}set +e
         I='grub-install --target=x86_64-efi --efi-directory=/boot/efi --bootloader-id=debian'
         loader() {{ sha256sum /boot/efi/EFI/debian/grubx64.efi; efibootmgr; }}
         B=$(loader); E=$(efibootmgr)
         $I >/dev/null 2>&1 && exit 1; [ \"$(loader)\" = \"$B\" ] || exit 2
         both --host --op boot-file || exit 3
         dbguard exec --grant $G -- $I >/dev/null 2>&1 && exit 4
         [ \"$(efibootmgr)\" = \"$E\" ] || exit 5
         both --host --op boot-file --op firmware || exit 6
         dbguard exec --grant $G -- $I || exit 7
         [ \"$(loader)\" != \"$B\" ] && efibootmgr | grep -q debian || exit 8
         echo x >>/boot/efi/EFI/debian/grubx64.efi && exit 9
         efibootmgr -n 0000 >/dev/null && exit 10; exit 0",
        signing::HEAD
    );
    let done = Script::new(&text).limit(200).must();
    signing::remove()?;
    done.map(drop)
}

fn prepare() -> Result<()> {
    guard::must_be_armed()?;
    fixture::load_modules()?;
    crate::acts::prepare_scratch()?;
    run(
        "[ -e $V/BootOrder-$EFI ] || { echo no firmware variables; exit 1; }
         modprobe ipmi_si; modprobe ipmi_devintf; udevadm settle
         [ -e /dev/ipmi0 ] || { echo no BMC; exit 1; }",
    )
}

fn run(script: &str) -> Result<()> {
    Script::new(&format!("{VARIABLES}{script}"))
        .must()
        .map(drop)
}

/// All variables with what is in them, and what the BMC was told.
fn state() -> Result<String> {
    Script::new(&format!(
        "{VARIABLES}cd $V; sha256sum -- *; ipmitool chassis bootparam get 5; ipmitool chassis power status"
    ))
    .must()
}

fn perform(act: &Act, last: &Shared<String>) -> Result<()> {
    let before = last.get().or_else(|_| state())?;
    let mark = audit::mark();
    let outcome = run(act.script);
    let after = state()?;
    last.set(after.clone());
    ensure!(after == before, "it was EFFECTIVE: {before}\n{after}");
    let Err(error) = outcome else {
        bail!("it was not refused")
    };
    audit::wait_refusal(mark, &[], &[act.op])
        .map(drop)
        .with_context(|| format!("{error:#}"))
}

/// Without a tool, through the driver's own interface.
fn power_off_by_ioctl() -> Result<()> {
    let mark = audit::mark();
    ensure!(control::ipmi(0, 2, &[0]).is_err(), "it was not refused");
    audit::wait_refusal(mark, &[], &["bmc"]).map(drop)
}
