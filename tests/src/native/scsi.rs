//! SCSI commands sent past the block layer: include/scsi/sg.h, include/uapi/linux/bsg.h.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{MARKER, ioctl, open, open_read};

/// `SG_IO`.
const SG_IO: libc::c_ulong = 0x2285;

/// WRITE(10) of `blocks` blocks at `block`.
pub fn write10(block: u32, blocks: u16) -> [u8; 10] {
    let (at, count) = (block.to_be_bytes(), blocks.to_be_bytes());
    [
        0x2A, 0, at[0], at[1], at[2], at[3], 0, count[0], count[1], 0,
    ]
}

/// `struct sg_io_hdr` of a 64-bit program.
#[repr(C)]
struct Header {
    interface: i32,
    direction: i32,
    cdb_length: u8,
    sense_room: u8,
    vectors: u16,
    data_length: u32,
    data: *mut u8,
    cdb: *const u8,
    sense: *mut u8,
    timeout_ms: u32,
    flags: u32,
    pack_id: i32,
    user: *mut u8,
    status: u8,
    masked_status: u8,
    message_status: u8,
    sense_length: u8,
    host_status: u16,
    driver_status: u16,
    residual: i32,
    duration: u32,
    info: u32,
}

const _: () = assert!(size_of::<Header>() == 88);

/// A command with its buffers; the header points into them.
struct Request {
    cdb: Vec<u8>,
    data: Vec<u8>,
    sense: [u8; 64],
}

impl Request {
    fn write() -> Self {
        Self {
            cdb: write10(0, 8).to_vec(),
            data: vec![MARKER; 4096],
            sense: [0; 64],
        }
    }

    fn header(&mut self) -> Header {
        Header {
            interface: i32::from(b'S'),
            direction: -2, // SG_DXFER_TO_DEV
            cdb_length: u8::try_from(self.cdb.len()).unwrap_or(u8::MAX),
            sense_room: 64,
            vectors: 0,
            data_length: u32::try_from(self.data.len()).unwrap_or(u32::MAX),
            data: self.data.as_mut_ptr(),
            cdb: self.cdb.as_ptr(),
            sense: self.sense.as_mut_ptr(),
            timeout_ms: 20_000,
            flags: 0,
            pack_id: 0,
            user: std::ptr::null_mut(),
            status: 0,
            masked_status: 0,
            message_status: 0,
            sense_length: 0,
            host_status: 0,
            driver_status: 0,
            residual: 0,
            duration: 0,
            info: 0,
        }
    }
}

/// WRITE(10) by SG_IO on a disk, a partition or an sg node opened for reading.
pub fn sg_io(node: &Path) -> Result<()> {
    let file = open_read(node)?;
    let mut request = Request::write();
    let mut header = request.header();
    ioctl::send(&file, SG_IO, &mut header)?;
    ensure!(
        header.status == 0,
        "the drive answered with status {:#x}",
        header.status
    );
    Ok(())
}

/// SG_IO whose CDB pointer leads nowhere: what cannot be read is not allowed to pass.
pub fn sg_io_unreadable(node: &Path) -> Result<()> {
    let file = open_read(node)?;
    let mut request = Request::write();
    let mut header = request.header();
    header.cdb = std::ptr::without_provenance(8);
    ioctl::send(&file, SG_IO, &mut header).map(drop)
}

/// WRITE(10) by `write(2)` of a `struct sg_io_hdr` on an sg node, the interface of old tools.
pub fn sg_write_call(node: &Path) -> Result<()> {
    sg_write_to(&mut open(node, true, true, 0)?)
}

/// The same through an open descriptor.
pub fn sg_write_to(file: &mut File) -> Result<()> {
    let mut request = Request::write();
    let header = request.header();
    // SAFETY: the header is plain memory of this size and lives.
    let bytes = unsafe {
        std::slice::from_raw_parts((&raw const header).cast::<u8>(), size_of::<Header>())
    };
    file.write_all(bytes).context("write")?;
    let mut answer = vec![0_u8; size_of::<Header>()];
    file.read_exact(&mut answer).context("read")
}

/// `struct sg_io_v4`.
#[repr(C)]
#[derive(Default)]
struct HeaderV4 {
    guard: i32,
    protocol: u32,
    subprotocol: u32,
    request_length: u32,
    request: u64,
    request_tag: u64,
    request_attribute: u32,
    request_priority: u32,
    request_extra: u32,
    response_room: u32,
    response: u64,
    out_vectors: u32,
    out_length: u32,
    in_vectors: u32,
    in_length: u32,
    out_data: u64,
    in_data: u64,
    timeout_ms: u32,
    flags: u32,
    user: u64,
    spare_in: u32,
    driver_status: u32,
    transport_status: u32,
    device_status: u32,
    retry_delay: u32,
    info: u32,
    duration: u32,
    response_length: u32,
    in_residual: i32,
    out_residual: i32,
    generated_tag: u64,
    spare_out: u32,
    padding: u32,
}

const _: () = assert!(size_of::<HeaderV4>() == 160);

/// WRITE(10) by SG_IO version 4 on a bsg node opened for reading.
pub fn bsg(node: &Path) -> Result<()> {
    let file = open_read(node)?;
    let mut request = Request::write();
    let mut header = HeaderV4 {
        guard: i32::from(b'Q'),
        request_length: 10,
        request: request.cdb.as_ptr() as u64,
        response: request.sense.as_mut_ptr() as u64,
        response_room: 64,
        out_length: 4096,
        out_data: request.data.as_ptr() as u64,
        timeout_ms: 20_000,
        ..HeaderV4::default()
    };
    ioctl::send(&file, SG_IO, &mut header)?;
    ensure!(
        header.device_status == 0,
        "the drive answered with {:#x}",
        header.device_status
    );
    Ok(())
}

/// SCSI_IOCTL_SEND_COMMAND, the oldest interface: WRITE(10) of 512 bytes.
pub fn send_command(node: &Path) -> Result<()> {
    let file = open_read(node)?;
    // struct scsi_ioctl_command: inlen, outlen, then the CDB and the data behind it.
    let mut argument = vec![0_u8; 8 + 10 + 4096];
    argument[..4].copy_from_slice(&4096_u32.to_le_bytes());
    argument[8..18].copy_from_slice(&write10(0, 8));
    argument[18..].fill(MARKER);
    // The buffer is longer than a fixed type would be, so its first byte stands for it.
    ioctl::send(&file, 1, &mut argument[0]).map(drop)
}
