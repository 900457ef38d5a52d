//! System calls of a 32-bit program, made from this one with `int 0x80`: they reach the kernel's
//! compat entry points, and so `file_ioctl_compat` instead of `file_ioctl`.
//!
//! The kernel cuts every argument to 32 bits, so whatever is pointed at lies below 4 GiB.

use std::arch::asm;
use std::path::Path;
use std::ptr;

use anyhow::{Context, Result, anyhow, ensure};

use super::MARKER;
use crate::harness::case::skip;

/// i386 system call numbers, arch/x86/entry/syscalls/syscall_32.tbl.
mod number {
    pub const WRITE: u32 = 4;
    pub const OPEN: u32 = 5;
    pub const CLOSE: u32 = 6;
    pub const IOCTL: u32 = 54;
    pub const REBOOT: u32 = 88;
    pub const FSYNC: u32 = 118;
    pub const KEXEC_LOAD: u32 = 283;
    pub const GETPID: u32 = 20;
}

/// Memory below 4 GiB; freed with the process.
struct Low {
    address: *mut u8,
    used: usize,
}

const LOW_BYTES: usize = 256 << 10;

impl Low {
    fn new() -> Result<Self> {
        // SAFETY: a new private mapping.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                LOW_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        ensure!(
            address != libc::MAP_FAILED,
            "mmap: {}",
            std::io::Error::last_os_error()
        );
        Ok(Self {
            address: address.cast(),
            used: 0,
        })
    }

    /// Copies bytes in and gives their 32-bit address.
    fn put(&mut self, bytes: &[u8]) -> Result<u32> {
        let at = self.used.next_multiple_of(4096);
        ensure!(
            at + bytes.len() <= LOW_BYTES,
            "no room for {} bytes",
            bytes.len()
        );
        self.used = at + bytes.len();
        // SAFETY: the range lies within the mapping, as was just checked.
        let target = unsafe {
            let target = self.address.add(at);
            ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
            target
        };
        u32::try_from(target as usize).context("memory above 4 GiB")
    }
}

impl Drop for Low {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nobody keeps a pointer into it.
        unsafe { libc::munmap(self.address.cast(), LOW_BYTES) };
    }
}

/// One i386 system call; negative is `-errno`.
fn call(number: u32, a: u32, b: u32, c: u32) -> Result<i32> {
    call4(number, a, b, c, 0)
}

fn call4(number: u32, a: u32, b: u32, c: u32, d: u32) -> Result<i32> {
    let mut result = number;
    // SAFETY: the kernel saves every register but eax and, before 4.17, r8 to r11; rbx, which Rust
    // keeps for itself, is put back.
    unsafe {
        asm!(
            "xchg rbx, {a}",
            "int 0x80",
            "xchg rbx, {a}",
            a = inout(reg) u64::from(a) => _,
            inlateout("eax") result,
            in("ecx") b,
            in("edx") c,
            in("esi") d,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let result = result.cast_signed();
    if result < 0 {
        return Err(std::io::Error::from_raw_os_error(-result))
            .with_context(|| format!("i386 system call {number}"));
    }
    Ok(result)
}

/// Fails, as a skip, where the kernel has no 32-bit system calls.
pub fn supported() -> Result<()> {
    // Without IA32 emulation `int 0x80` is a general protection fault, which would kill us: ask
    // the kernel's configuration first.
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let config = std::fs::read_to_string(format!("/boot/config-{release}"))
        .with_context(|| format!("cannot read the configuration of {release}"))?;
    if !config.contains("CONFIG_IA32_EMULATION=y") {
        return Err(skip(format!(
            "{release} is built without CONFIG_IA32_EMULATION"
        )));
    }
    call(number::GETPID, 0, 0, 0).map(drop)
}

/// kexec_load of one page, as [`super::machine::kexec_load`].
pub fn kexec_load(flags: u32) -> Result<()> {
    supported()?;
    let mut low = Low::new()?;
    let page = low.put(&[0; 4096])?;
    let words = [page, 4096, super::machine::KEXEC_ADDRESS, 4096];
    let segment: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let segments = low.put(&segment)?;
    call4(
        number::KEXEC_LOAD,
        super::machine::KEXEC_ADDRESS,
        1,
        segments,
        flags,
    )
    .map(drop)
}

/// DM_DEV_SUSPEND of the device of this name.
pub fn mapper_suspend(name: &str) -> Result<()> {
    use super::control::{DM_DEV_SUSPEND, suspend_request};
    supported()?;
    let mut low = Low::new()?;
    let request = suspend_request(name);
    ioctl(
        &mut low,
        Path::new("/dev/mapper/control"),
        DM_DEV_SUSPEND,
        &request,
    )
}

/// reboot(2) with this command.
pub fn reboot(command: u32) -> Result<()> {
    supported()?;
    call(
        number::REBOOT,
        super::machine::MAGIC1,
        super::machine::MAGIC2,
        command,
    )
    .map(drop)
}

/// A descriptor opened by a 32-bit `open`.
struct Fd(u32);

impl Fd {
    fn open(low: &mut Low, node: &Path, flags: i32) -> Result<Self> {
        let mut path = node.as_os_str().as_encoded_bytes().to_vec();
        path.push(0);
        let path = low.put(&path)?;
        let fd = call(number::OPEN, path, flags.cast_unsigned(), 0)?;
        Ok(Self(fd.cast_unsigned()))
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        let _ = call(number::CLOSE, self.0, 0, 0);
    }
}

/// 32-bit `open` for writing, `write`, `fsync`.
pub fn write(node: &Path) -> Result<()> {
    supported()?;
    let mut low = Low::new()?;
    let fd = Fd::open(&mut low, node, libc::O_WRONLY)?;
    let bytes = low.put(&vec![MARKER; 64 << 10])?;
    call(number::WRITE, fd.0, bytes, 64 << 10)?;
    call(number::FSYNC, fd.0, 0, 0).map(drop)
}

/// An ioctl with a pointer to these bytes, through a read-only 32-bit descriptor.
fn ioctl(low: &mut Low, node: &Path, command: u32, argument: &[u8]) -> Result<()> {
    let fd = Fd::open(low, node, libc::O_RDONLY | libc::O_NONBLOCK)?;
    let argument = low.put(argument)?;
    call(number::IOCTL, fd.0, command, argument).map(drop)
}

/// BLKROSET to read-only and back.
pub fn set_read_only(node: &Path) -> Result<()> {
    supported()?;
    let mut low = Low::new()?;
    ioctl(&mut low, node, 0x125D, &1_u32.to_le_bytes())?;
    ioctl(&mut low, node, 0x125D, &0_u32.to_le_bytes())
}

/// BLKPG with the 32-bit `struct blkpg_ioctl_arg`: adds partition 60, 1 MiB at 1 MiB.
pub fn add_partition(node: &Path) -> Result<()> {
    supported()?;
    let mut low = Low::new()?;
    let mut partition = vec![0_u8; 152];
    partition[..8].copy_from_slice(&(1_i64 << 20).to_le_bytes());
    partition[8..16].copy_from_slice(&(1_i64 << 20).to_le_bytes());
    partition[16..20].copy_from_slice(&60_i32.to_le_bytes());
    let data = low.put(&partition)?;
    // 1 is BLKPG_ADD_PARTITION.
    let words = [1, 0, 152, data];
    let argument: Vec<u8> = words
        .iter()
        .flat_map(|word: &u32| word.to_le_bytes())
        .collect();
    ioctl(&mut low, node, 0x1269, &argument)
}

/// SG_IO with the 32-bit `struct sg_io_hdr`: WRITE(10) of eight blocks at block 0.
pub fn scsi_write(node: &Path) -> Result<()> {
    supported()?;
    let mut low = Low::new()?;
    let data = low.put(&[MARKER; 4096])?;
    let cdb = low.put(&super::scsi::write10(0, 8))?;
    let sense = low.put(&[0; 64])?;
    let mut header = Vec::with_capacity(64);
    let direction = -2_i32; // SG_DXFER_TO_DEV
    header.extend(i32::from(b'S').to_le_bytes());
    header.extend(direction.to_le_bytes());
    header.extend([10, 64, 0, 0]);
    for word in [4096, data, cdb, sense, 20_000, 0, 0, 0] {
        header.extend(u32::to_le_bytes(word));
    }
    header.resize(64, 0);
    let fd = Fd::open(&mut low, node, libc::O_RDONLY | libc::O_NONBLOCK)?;
    let at = low.put(&header)?;
    call(number::IOCTL, fd.0, 0x2285, at)?;
    // SAFETY: `at` is the header's address in memory that we own; the kernel wrote its answer.
    let status = unsafe { *((at as usize + 44) as *const u8) };
    if status != 0 {
        return Err(anyhow!("the drive answered with status {status:#x}"));
    }
    Ok(())
}

/// NVME_IOCTL_IO_CMD: Write of eight 512-byte blocks at block 0.
pub fn nvme_write(node: &Path) -> Result<()> {
    supported()?;
    let mut low = Low::new()?;
    let data = low.put(&[MARKER; 4096])?;
    let command = super::nvme::Command::write(u64::from(data)).bytes();
    ioctl(&mut low, node, 0xC048_4E43, &command[..72])
}
