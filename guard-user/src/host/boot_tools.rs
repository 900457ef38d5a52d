//! The programs that change what the machine boots from in the course of a live database host's work:
//! package managers with whatever they run, and the few that administrators and services run
//! directly. Everything they change is recorded.
//!
//! Not here, because nothing on a live host needs them outside a package manager: `grub-install`
//! (but see there), `grubby`, `bootctl install`, `efibootmgr`, `cp`, `rm`.

use std::path::PathBuf;

use guard_abi::tool_grant;

use super::tools::{Tool, Verbs};
use super::verbs::{Verb, any, of_free};

/// What installs, upgrades and removes packages. Each hands its grants on to whatever it executes:
/// maintainer scripts and triggers are shells that run `cp`, `mv`, `update-grub`. `dpkg` does the
/// work of `apt` and `unattended-upgrades`; the others write the files themselves.
const PACKAGE_MANAGERS: &[&str] = &[
    "dpkg",
    "rpm",
    "dnf",
    "dnf-3",
    "dnf5",
    "dnf5daemon-server",
    "microdnf",
    "tdnf",
    "yum",
    "zypper",
    "rpm-ostree",
    "pacman",
];

/// What makes initial RAM disks, boot entries and boot loader configuration from what is installed.
/// Most are shell or Python scripts, and known by the script's own file: `bash -x update-grub` has
/// no grant.
const GENERATORS: &[&str] = &[
    "update-grub",
    "grub-mkconfig",
    "grub2-mkconfig",
    "update-bootloader",
    "update-initramfs",
    "mkinitramfs",
    "mkinitrd",
    "mkinitcpio",
    "dracut",
    "kernel-install",
    "installkernel",
    "flash-kernel",
    "proxmox-boot-tool",
    // Crash kernels: kdump-tools, kexec-tools of Red Hat.
    "kdump-config",
    "kdumpctl",
    "mkdumprd",
];

/// What chooses the next boot. Inside a package manager they lose what it has handed on to them.
const CHOOSERS: &[&str] = &[
    "grub-reboot",
    "grub-set-default",
    "grub2-reboot",
    "grub2-set-default",
];

/// Writes boot sectors and the core image behind them, where a package manager runs it (the
/// post-installation of grub-pc). By hand it is how a host is made to boot something else.
const SECTOR_WRITERS: &[&str] = &[
    "grub-install",
    "grub2-install",
    "grub-bios-setup",
    "grub2-bios-setup",
];

fn tool(file: &str, verbs: Verbs) -> Tool {
    Tool {
        file: file.to_owned(),
        path: None,
        verbs,
    }
}

/// The table.
pub(super) fn table() -> Vec<Tool> {
    let packages = tool_grant::PACKAGES | tool_grant::BOOT_FILES | tool_grant::BOOT_STATE;
    let lists = [
        (PACKAGE_MANAGERS, Verbs::Script(packages)),
        (GENERATORS, Verbs::Script(tool_grant::BOOT_FILES)),
        (CHOOSERS, Verbs::Script(tool_grant::REVOKED)),
        (SECTOR_WRITERS, Verbs::Always(tool_grant::BOOT_SECTOR)),
    ];
    let mut tools: Vec<Tool> = lists
        .iter()
        .flat_map(|(files, verbs)| files.iter().map(|file| tool(file, *verbs)))
        .collect();
    tools.extend([
        // Installs within its own process on hosts of the RPM family.
        Tool {
            path: Some(PathBuf::from("/usr/libexec/packagekitd")),
            ..tool("packagekitd", Verbs::Always(packages))
        },
        // Takes the counter out of a boot entry's name once the boot has succeeded.
        tool("systemd-bless-boot", Verbs::Always(tool_grant::BOOT_FILES)),
        tool("bootctl", Verbs::FirstWord(BOOTCTL_VERBS)),
        tool("grub-editenv", Verbs::AnyArgument(EDITENV_VERBS)),
        tool("grub2-editenv", Verbs::AnyArgument(EDITENV_VERBS)),
        // Sets one of two flags that say that the boot went well.
        tool(
            "grub2-set-bootflag",
            Verbs::Always(tool_grant::BOOT_FILES | tool_grant::BOOT_STATE),
        ),
    ]);
    tools
}

/// `bootctl`: what systemd's services run at boot. `install` and `remove` are for package managers,
/// and `set-default` and `set-oneshot` change firmware variables.
const BOOTCTL_VERBS: &[Verb] = &[
    any("random-seed", tool_grant::BOOT_FILES),
    any("update", tool_grant::BOOT_FILES),
];

/// `grub-editenv FILE unset VARIABLE`: what grub-common's services run at boot to say that it
/// succeeded. The files are verbs without a grant, because they stand before the verb. `set` and
/// `create` change what is booted next; a package manager may (new kernels of the Red Hat family
/// make themselves the default), and has the grant already.
const EDITENV_VERBS: &[Verb] = &[
    any("-", 0),
    any("/boot/grub/grubenv", 0),
    any("/boot/grub2/grubenv", 0),
    of_free("unset", tool_grant::BOOT_STATE, &[BOOT_SUCCEEDED]),
];

/// Variables that say how the last boot went.
const BOOT_SUCCEEDED: &[&str] = &[
    "recordfail",
    "initrdless_boot_fallback_triggered",
    "boot_counter",
    "boot_indeterminate",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_verb_or_name_is_cut() {
        for tool in table() {
            let (Verbs::FirstWord(verbs) | Verbs::AnyArgument(verbs)) = tool.verbs else {
                continue;
            };
            assert!(
                verbs.iter().all(|verb| verb.text.len() < 28),
                "{}",
                tool.file
            );
        }
    }

    #[test]
    fn choosing_the_next_boot_is_never_granted_directly() {
        for tool in table() {
            let grants = match tool.verbs {
                Verbs::Always(grants) | Verbs::Script(grants) => grants,
                _ => 0,
            };
            if grants & tool_grant::BOOT_STATE != 0 && tool.file != "grub2-set-bootflag" {
                assert_ne!(grants & tool_grant::PACKAGES, 0, "{}", tool.file);
            }
            assert!(!CHOOSERS.contains(&tool.file.as_str()) || grants == tool_grant::REVOKED);
        }
    }
}
