//! NVMe commands sent past the block layer, through every ioctl that takes them:
//! include/uapi/linux/nvme_ioctl.h.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{MARKER, ioctl, open_read};
use crate::harness::snapshot::Aligned;

/// `struct nvme_passthru_cmd64`; its first 72 bytes are also `nvme_passthru_cmd` and
/// `nvme_uring_cmd`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Command {
    opcode: u8,
    flags: u8,
    reserved: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    address: u64,
    metadata_length: u32,
    data_length: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    reserved2: u32,
    result: u64,
}

const _: () = assert!(size_of::<Command>() == 80);

impl Command {
    /// Write (I/O opcode 0x01) of eight 512-byte blocks at block 0 from the memory at `address`.
    pub fn write(address: u64) -> Self {
        Self {
            opcode: 0x01,
            nsid: 1,
            address,
            data_length: 4096,
            cdw12: 7,
            ..Self::default()
        }
    }

    /// Format NVM (admin opcode 0x80) with the namespace's present format.
    pub fn format() -> Self {
        Self {
            opcode: 0x80,
            nsid: 1,
            timeout_ms: 20_000,
            ..Self::default()
        }
    }

    /// The structure as bytes.
    pub fn bytes(self) -> [u8; 80] {
        // SAFETY: `repr(C)`, integers alone, no padding: 80 bytes, asserted above.
        unsafe { std::mem::transmute(self) }
    }
}

/// `struct nvme_user_io`.
#[repr(C)]
#[derive(Default)]
struct UserIo {
    opcode: u8,
    flags: u8,
    control: u16,
    blocks: u16,
    reserved: u16,
    metadata: u64,
    address: u64,
    start: u64,
    management: u32,
    reference_tag: u32,
    application_tag: u16,
    application_mask: u16,
}

fn marked() -> Aligned {
    let mut buffer = Aligned::new(4096);
    buffer.bytes_mut().fill(MARKER);
    buffer
}

fn send(node: &Path, request: libc::c_ulong, mut command: Command) -> Result<()> {
    let file = open_read(node)?;
    let status = ioctl::send(&file, request, &mut command)?;
    ensure!(status == 0, "the drive answered with status {status:#x}");
    Ok(())
}

fn send_write(node: &Path, request: libc::c_ulong) -> Result<()> {
    let data = marked();
    send(node, request, Command::write(data.bytes().as_ptr() as u64))
}

/// Write by NVME_IOCTL_IO_CMD.
pub fn io_command(node: &Path) -> Result<()> {
    send_write(node, 0xC048_4E43)
}

/// Write by NVME_IOCTL_IO64_CMD.
pub fn io_command_64(node: &Path) -> Result<()> {
    send_write(node, 0xC050_4E48)
}

/// Write by NVME_IOCTL_SUBMIT_IO, which up to Linux 6.12 asks for no capability at all.
pub fn submit_io(node: &Path) -> Result<()> {
    let file = open_read(node)?;
    let data = marked();
    let mut io = UserIo {
        opcode: 0x01,
        blocks: 7,
        address: data.bytes().as_ptr() as u64,
        ..UserIo::default()
    };
    let status = ioctl::send(&file, 0x4030_4E42, &mut io)?;
    ensure!(status == 0, "the drive answered with status {status:#x}");
    Ok(())
}

/// Format by NVME_IOCTL_ADMIN_CMD.
pub fn format(node: &Path) -> Result<()> {
    send(node, 0xC048_4E41, Command::format())
}

/// Format by NVME_IOCTL_ADMIN64_CMD.
pub fn format_64(node: &Path) -> Result<()> {
    send(node, 0xC050_4E47, Command::format())
}

/// An admin opcode that is vendor specific.
pub fn vendor(node: &Path) -> Result<()> {
    send(
        node,
        0xC048_4E41,
        Command {
            opcode: 0xC1,
            nsid: 1,
            ..Command::default()
        },
    )
}
