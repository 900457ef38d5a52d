//! A program whose very first instruction attacks: a static ELF file without a loader, without a
//! C library, made of the few instructions between two labels.
//!
//! It opens the device that was written into it for writing, writes 4096 bytes, and exits with 0,
//! or with the `errno` of what failed.

use std::arch::global_asm;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

global_asm!(
    ".pushsection .rodata.first_act, \"a\", @progbits",
    ".globl first_act_begin",
    "first_act_begin:",
    "lea rdi, [rip + first_act_path]",
    "mov esi, 1", // O_WRONLY
    "mov eax, 2", // open
    "syscall",
    "test rax, rax",
    "js 2f",
    "mov edi, eax",
    "lea rsi, [rip + first_act_begin]",
    "and rsi, -4096", // the page this program was loaded into
    "mov edx, 4096",
    "mov eax, 1", // write
    "syscall",
    "test rax, rax",
    "js 2f",
    "mov eax, 74", // fsync of the same descriptor
    "syscall",
    "test rax, rax",
    "2:",
    "neg rax",
    "mov edi, eax",
    "mov eax, 60", // exit
    "syscall",
    "first_act_path:",
    ".globl first_act_end",
    "first_act_end:",
    ".popsection",
);

unsafe extern "C" {
    static first_act_begin: u8;
    static first_act_end: u8;
}

/// Bytes of an ELF header and one program header.
const HEADERS: usize = 64 + 56;
/// Where the file is loaded.
const BASE: u64 = 0x40_0000;
/// Everything fits into one page.
const PAGE: usize = 4096;

/// Writes the program to `file`; it will attack `device`.
pub fn write(file: &Path, device: &Path) -> Result<()> {
    // SAFETY: both symbols delimit the instructions above, in one section of this program.
    let code = unsafe {
        let begin = &raw const first_act_begin;
        let length = (&raw const first_act_end).offset_from_unsigned(begin);
        std::slice::from_raw_parts(begin, length)
    };
    let mut image = header();
    image.extend_from_slice(code);
    image.extend_from_slice(device.as_os_str().as_encoded_bytes());
    image.push(0);
    ensure!(image.len() <= PAGE, "the device's path is too long");
    image.resize(PAGE, 0);
    fs::write(file, image).with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", file.display()))
}

/// ELF-64, x86-64, one readable and executable segment that is the whole file.
fn header() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let put16 = |bytes: &mut Vec<u8>, value: u16| bytes.extend(value.to_le_bytes());
    let put32 = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
    let put64 = |bytes: &mut Vec<u8>, value: u64| bytes.extend(value.to_le_bytes());
    put16(&mut bytes, 2); // ET_EXEC
    put16(&mut bytes, 62); // EM_X86_64
    put32(&mut bytes, 1);
    put64(&mut bytes, BASE + HEADERS as u64);
    put64(&mut bytes, 64); // program headers
    put64(&mut bytes, 0);
    put32(&mut bytes, 0);
    for value in [64, 56, 1, 64, 0, 0] {
        put16(&mut bytes, value);
    }
    put32(&mut bytes, 1); // PT_LOAD
    put32(&mut bytes, 5); // readable, executable
    put64(&mut bytes, 0);
    put64(&mut bytes, BASE);
    put64(&mut bytes, BASE);
    put64(&mut bytes, PAGE as u64);
    put64(&mut bytes, PAGE as u64);
    put64(&mut bytes, PAGE as u64);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_program_writes_and_tells_errno() {
        let dir = std::env::temp_dir().join(format!("first-act-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (program, target) = (dir.join("mariadbd"), dir.join("target"));
        fs::write(&target, b"").unwrap();
        write(&program, &target).unwrap();
        assert_eq!(Command::new(&program).status().unwrap().code(), Some(0));
        assert_eq!(fs::read(&target).unwrap(), fs::read(&program).unwrap());
        fs::remove_file(&target).unwrap();
        assert_eq!(
            Command::new(&program).status().unwrap().code(),
            Some(libc::ENOENT)
        );
        fs::remove_dir_all(&dir).unwrap();
    }
}
