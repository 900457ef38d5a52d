//! What a root disk boots from when nobody hands its kernel over: `/boot` with GRUB's menu and
//! environment, and an EFI system partition with GRUB and systemd-boot.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Size of GRUB's environment block, which it changes in place (grub-core/lib/envblk.c).
const GRUBENV: usize = 1024;

/// GRUB for EFI with every module inside, as package grub-efi-amd64-bin brings it.
const GRUB: &str = "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi";
/// systemd-boot, as package systemd-boot-efi brings it.
const SYSTEMD_BOOT: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// Writes what stands in `/boot` beside the kernel.
pub fn furnish(tree: &Path, release: &str, initrd: &[u8]) -> Result<()> {
    let boot = tree.join("boot");
    write(&boot.join(format!("initrd.img-{release}")), initrd)?;
    write(&boot.join("grub/grub.cfg"), menu(release).as_bytes())?;
    write(&boot.join("grub/grubenv"), &environment())?;
    for name in ["normal.mod", "linux.mod", "ext2.mod", "part_gpt.mod"] {
        let from = tree.join("usr/lib/grub/x86_64-efi").join(name);
        copy(&from, &boot.join("grub/x86_64-efi").join(name))?;
    }
    copy(&tree.join(GRUB), &boot.join("grub/x86_64-efi/core.efi"))
}

/// Fills `esp` with what the EFI system partition holds.
pub fn system_partition(tree: &Path, esp: &Path, release: &str) -> Result<()> {
    let efi = esp.join("EFI");
    copy(&tree.join(GRUB), &efi.join("debian/grubx64.efi"))?;
    copy(&tree.join(GRUB), &efi.join("BOOT/BOOTX64.EFI"))?;
    copy(
        &tree.join(SYSTEMD_BOOT),
        &efi.join("systemd/systemd-bootx64.efi"),
    )?;
    let stub = "search --label root --set=root\nconfigfile /boot/grub/grub.cfg\n";
    write(&efi.join("debian/grub.cfg"), stub.as_bytes())?;
    write(
        &esp.join("loader/loader.conf"),
        b"default debian.conf\ntimeout 1\n",
    )?;
    let entry = format!(
        "title Debian\nversion {release}\nlinux /debian/{release}/linux\n\
         initrd /debian/{release}/initrd\noptions root=LABEL=root rw\n"
    );
    write(&esp.join("loader/entries/debian.conf"), entry.as_bytes())?;
    let kernels = esp.join("debian").join(release);
    for (from, to) in [("vmlinuz", "linux"), ("initrd.img", "initrd")] {
        let from = tree.join(format!("boot/{from}-{release}"));
        copy(&from, &kernels.join(to))?;
    }
    Ok(())
}

fn menu(release: &str) -> String {
    format!(
        "if [ -s $prefix/grubenv ]; then\n\tload_env\nfi\n\
         if [ \"${{next_entry}}\" ]; then\n\tset default=\"${{next_entry}}\"\n\tset next_entry=\n\
         \tsave_env next_entry\nelse\n\tset default=\"${{saved_entry}}\"\nfi\nset timeout=1\n\
         menuentry 'Debian' --id debian {{\n\tsearch --label root --set=root\n\
         \tlinux /boot/vmlinuz-{release} root=LABEL=root rw\n\
         \tinitrd /boot/initrd.img-{release}\n}}\n"
    )
}

/// An environment block that saves the default entry.
fn environment() -> Vec<u8> {
    let mut block = b"# GRUB Environment Block\nsaved_entry=debian\n".to_vec();
    block.resize(GRUBENV, b'#');
    block
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    directory_of(path)?;
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    directory_of(to)?;
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn directory_of(path: &Path) -> Result<()> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_block_is_what_grub_takes() {
        let block = environment();
        assert_eq!(block.len(), GRUBENV);
        assert!(block.starts_with(b"# GRUB Environment Block\n"));
        assert!(block.ends_with(b"#"));
    }

    #[test]
    fn the_menu_names_the_kernel() {
        let menu = menu("6.1.0-9-amd64");
        assert!(menu.contains("linux /boot/vmlinuz-6.1.0-9-amd64 root=LABEL=root rw\n"));
        assert_eq!(menu.matches('{').count(), menu.matches('}').count());
    }
}
