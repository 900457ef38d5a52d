//! What is measured: the operations of an ordinary program, and those that dbguard's hooks see.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{mem, ptr};

use anyhow::{Context, Result, bail, ensure};

/// The data disk, protected once a database runs on it.
const DISK: &str = "/dev/disk/by-role/data";
/// An ordinary file on the root file system.
const FILE: &str = "/var/tmp/guest-bench";
/// One in memory, where `fsync` waits for no disk.
const MEMORY_FILE: &str = "/run/guest-bench";
/// One that comes and goes.
const SCRATCH: &str = "/var/tmp/guest-bench-scratch";
/// Names of one that is renamed.
const RENAMED: [&str; 2] = ["/var/tmp/guest-bench-a", "/var/tmp/guest-bench-b"];
/// What a page of a database would be at the least.
const BYTES: usize = 4096;

/// A buffer on a page of its own: copies that cross a page cost more, and a stack lies differently
/// in each process.
#[repr(align(4096))]
struct Page([u8; BYTES]);

/// One operation.
pub struct Operation {
    /// Its name in the table.
    pub name: &'static str,
    /// How often it is run between two looks at the clock.
    pub batch: u32,
    /// How many batches.
    pub batches: usize,
    /// Runs it once.
    pub run: Box<dyn FnMut() -> Result<()>>,
}

impl Operation {
    fn new(name: &'static str, batch: u32, run: impl FnMut() -> Result<()> + 'static) -> Self {
        Self {
            name,
            batch,
            batches: 200,
            run: Box::new(run),
        }
    }
}

/// All operations, with the files they need.
pub fn all() -> Result<Vec<Operation>> {
    fs::write(FILE, [7_u8; BYTES]).with_context(|| format!("cannot write {FILE}"))?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(FILE)
        .context("the file")?;
    File::create(RENAMED[0]).with_context(|| format!("cannot make {}", RENAMED[0]))?;
    let writer = file.try_clone().context("the file")?;
    let memory = File::create(MEMORY_FILE).with_context(|| format!("cannot make {MEMORY_FILE}"))?;
    let terminal = terminal()?;
    let (mut page, full) = (Box::new(Page([0; BYTES])), Box::new(Page([8; BYTES])));
    let disk = File::open(DISK).with_context(|| format!("cannot open {DISK}"))?;
    Ok(vec![
        Operation::new("open+close", 200, || {
            File::open(FILE).map(drop).context("open")
        }),
        Operation::new("open-to-write+close", 200, || {
            let file = OpenOptions::new().write(true).open(FILE);
            file.map(drop).context("open")
        }),
        Operation::new("create+unlink", 100, || {
            File::create(SCRATCH).context("create")?;
            fs::remove_file(SCRATCH).context("unlink")
        }),
        Operation::new("rename", 100, || {
            fs::rename(RENAMED[0], RENAMED[1]).context("there")?;
            fs::rename(RENAMED[1], RENAMED[0]).context("and back")
        }),
        Operation::new("stat", 400, || fs::metadata(FILE).map(drop).context("stat")),
        Operation::new("read", 400, move || {
            file.read_exact_at(&mut page.0, 0).context("read")
        }),
        Operation::new("write", 200, move || {
            writer.write_all_at(&full.0, 0).context("write")
        }),
        Operation::new("fsync", 400, move || memory.sync_all().context("fsync")),
        Operation::new("ioctl-terminal", 400, move || {
            // SAFETY: TIOCGWINSZ (ioctl_tty(2)) writes one `struct winsize`, which is what it gets.
            unsafe {
                let mut size: libc::winsize = mem::zeroed();
                answer(libc::ioctl(
                    terminal.as_raw_fd(),
                    libc::TIOCGWINSZ,
                    &raw mut size,
                ))
            }
        }),
        Operation::new("ioctl-disk", 400, move || {
            /// `BLKGETSIZE64`, include/uapi/linux/fs.h: `_IOR(0x12, 114, size_t)`.
            const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;
            let mut bytes = 0_u64;
            // SAFETY: BLKGETSIZE64 writes one u64, which is what it gets.
            answer(unsafe { libc::ioctl(disk.as_raw_fd(), BLKGETSIZE64, &raw mut bytes) })
        }),
        Operation {
            batches: 150,
            ..Operation::new("fork+exec", 1, || {
                let status = Command::new("/bin/true").stdin(Stdio::null()).status();
                ensure!(status.context("exec")?.success(), "/bin/true failed");
                Ok(())
            })
        },
    ])
}

/// An open for writing that is refused. Each wakes the controller: one by one, so that the least of them
/// is the refusal alone.
pub fn refused(device: PathBuf) -> Operation {
    Operation {
        batches: 300,
        ..Operation::new("refused", 1, move || {
            match OpenOptions::new().write(true).open(&device) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                Err(error) => Err(error).context("another error than a refusal's"),
                Ok(_) => bail!("{} was opened for writing", device.display()),
            }
        })
    }
}

fn answer(status: libc::c_int) -> Result<()> {
    if status < 0 {
        Err(io::Error::last_os_error()).context("ioctl")
    } else {
        Ok(())
    }
}

/// The slave side of a new pseudo-terminal; its master side stays open to the process's end.
fn terminal() -> Result<OwnedFd> {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: openpty(3) writes the two descriptors; the null pointers ask for nothing more.
    let status = unsafe {
        libc::openpty(
            &raw mut master,
            &raw mut slave,
            ptr::null_mut(),
            ptr::null(),
            ptr::null(),
        )
    };
    answer(status).context("openpty")?;
    // SAFETY: openpty has just opened it and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(slave) })
}
