//! The type information (BTF) of the guest kernels, taken out of their boot images, so that host
//! tests read what the guests will have.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::kernel::{self, Flavour, Kernel};
use crate::{cache, cmd};

/// Compressors of kernel images by their first bytes, and how the tool unpacks standard input.
const UNPACKERS: &[(&[u8], &str, &[&str])] = &[
    (b"\x02\x21\x4c\x18", "lz4", &["-dc"]),
    (b"\x28\xb5\x2f\xfd", "zstd", &["-dcq"]),
    (b"\xfd7zXZ\0", "xz", &["-dc", "--single-stream"]),
    (b"\x1f\x8b", "gzip", &["-dcq"]),
];

/// Gives the directory with `<series>.btf` for each of `kernels`.
pub fn directory(kernels: &[Kernel]) -> Result<PathBuf> {
    let names: Vec<String> = kernels
        .iter()
        .map(|series| kernel::key(*series, Flavour::Cloud))
        .collect();
    let key = cache::key(&["btf", &names.join(","), include_str!("btf.rs")]);
    cache::ensure(
        "btf",
        &key,
        "type information of the guest kernels",
        |work| {
            for series in kernels {
                let unpacked = kernel::ensure(*series, Flavour::Cloud)?;
                let image = unpacked.vmlinuz();
                let btf = extract(&image, work).with_context(|| {
                    format!("reading the type information in {}", image.display())
                })?;
                fs::write(work.join(format!("{}.btf", series.name)), btf)
                    .context("cannot write the type information")?;
            }
            Ok(())
        },
    )
}

fn extract(image: &Path, work: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(image).context("cannot read the kernel")?;
    let payload = payload(&bytes).context("not an x86 boot image")?;
    let vmlinux = unpack(payload, work)?;
    let section = section(&vmlinux, b".BTF").context("the kernel has no .BTF section")?;
    Ok(section.to_vec())
}

/// The compressed kernel in a boot image (Documentation/arch/x86/boot.rst: setup_sects,
/// payload_offset, payload_length), without the length that the kernel's build appends.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let sectors = usize::from(*image.get(0x1f1)?);
    let start = (sectors + 1) * 512 + number(image, 0x248, 4)?;
    let length = number(image, 0x24c, 4)?;
    image.get(start..)?.get(..length.checked_sub(4)?)
}

fn unpack(payload: &[u8], work: &Path) -> Result<Vec<u8>> {
    let Some((_, tool, args)) = UNPACKERS
        .iter()
        .find(|(magic, ..)| payload.starts_with(magic))
    else {
        bail!(
            "compressed in a way that is not known here: {:02x?}",
            &payload[..payload.len().min(6)]
        );
    };
    let packed = work.join("payload");
    fs::write(&packed, payload).context("cannot write the compressed kernel")?;
    let output = Command::new(cmd::which(tool).with_context(|| format!("{tool} is missing"))?)
        .args(*args)
        .stdin(File::open(&packed).context("cannot read the compressed kernel")?)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {tool}"))?;
    fs::remove_file(&packed).ok();
    if !output.status.success() {
        bail!("unpacking: {tool} ended with {}", output.status);
    }
    Ok(output.stdout)
}

/// A section of a 64-bit little-endian ELF file (elf(5)), by name.
fn section<'a>(elf: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = number(elf, 0x28, 8)?;
    let (size, count) = (number(elf, 0x3a, 2)?, number(elf, 0x3c, 2)?);
    let header = |at: usize| elf.get(table + at * size..)?.get(..64);
    let content = |header: &[u8]| -> Option<&'a [u8]> {
        elf.get(number(header, 0x18, 8)?..)?
            .get(..number(header, 0x20, 8)?)
    };
    let names = content(header(number(elf, 0x3e, 2)?)?)?;
    (0..count).find_map(|at| {
        let header = header(at)?;
        let own = names.get(number(header, 0, 4)?..)?;
        let end = own.iter().position(|byte| *byte == 0)?;
        if &own[..end] == name {
            content(header)
        } else {
            None
        }
    })
}

/// A little-endian number of `width` bytes at `at`.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let field = bytes.get(at..)?.get(..width)?;
    let value = field
        .iter()
        .rev()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with two sections: the names, and `.BTF` holding `content`.
    fn elf(content: &[u8]) -> Vec<u8> {
        let names = b"\0.names\0.BTF\0";
        let mut bytes = vec![0_u8; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes.extend_from_slice(names);
        let at = bytes.len();
        bytes.extend_from_slice(content);
        let table = bytes.len();
        for (name, start, length) in [(1_u32, 64, names.len()), (8, at, content.len())] {
            let mut header = [0_u8; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&(start as u64).to_le_bytes());
            header[0x20..0x28].copy_from_slice(&(length as u64).to_le_bytes());
            bytes.extend_from_slice(&header);
        }
        bytes[0x28..0x30].copy_from_slice(&(table as u64).to_le_bytes());
        bytes[0x3a..0x3c].copy_from_slice(&64_u16.to_le_bytes());
        bytes[0x3c..0x3e].copy_from_slice(&2_u16.to_le_bytes());
        bytes
    }

    #[test]
    fn a_section_is_found_by_name() {
        let bytes = elf(b"types");
        assert_eq!(section(&bytes, b".BTF"), Some(b"types".as_slice()));
        assert_eq!(section(&bytes, b".BT"), None);
        for end in 0..bytes.len() {
            assert_eq!(section(&bytes[..end], b".BTF"), None, "cut at {end}");
        }
    }

    #[test]
    fn the_payload_lies_behind_the_setup_code() {
        let mut image = vec![0_u8; 1024];
        image[0x1f1] = 1;
        image[0x248..0x24c].copy_from_slice(&2_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&9_u32.to_le_bytes());
        image.extend_from_slice(b"..packedSIZE");
        assert_eq!(payload(&image), Some(b"packe".as_slice()));
        image.truncate(1030);
        assert_eq!(payload(&image), None);
    }
}
