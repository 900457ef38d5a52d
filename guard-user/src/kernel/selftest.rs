//! Proof that the guard refuses: the canary is attacked, see [`guard_abi::canary`].

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use guard_abi::{DeviceClass, DeviceEntry, canary, dev, device_flag};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use serde::{Deserialize, Serialize};

use super::guard::Guard;
use super::problem::Result;

/// How one attack went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestOutcome {
    /// Refused by the guard: its counter moved.
    Refused,
    /// Let through, or refused by something else. The host is not guarded by this hook.
    NotRefused(String),
    /// The attack could not be made.
    NotTried(String),
}

/// Outcome of [`Guard::self_test`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Opening a protected block device for writing.
    pub file_open: TestOutcome,
    /// An unlisted ioctl on a block device.
    pub file_ioctl: TestOutcome,
}

impl SelfTest {
    /// The guard was seen to refuse, and nothing was seen to pass. A host without any block
    /// device has nothing to try an ioctl on.
    pub fn passed(&self) -> bool {
        self.file_open == TestOutcome::Refused
            && !matches!(self.file_ioctl, TestOutcome::NotRefused(_))
    }
}

impl Guard {
    /// Attacks the canary: opens a block device that cannot exist for writing, and sends an ioctl
    /// that no driver knows to one that does. Changes nothing, makes no event, and needs neither
    /// an armed host nor enforce mode.
    pub fn self_test(&self) -> Result<SelfTest> {
        let entry = DeviceEntry {
            class: DeviceClass::Protected as u32,
            flags: device_flag::CANARY,
            ..DeviceEntry::default()
        };
        self.maps.devices.set(&canary::DEVICE, &entry)?;
        let file_open = self.attack(open_canary)?;
        let file_ioctl = self.attack(ioctl_canary)?;
        Ok(SelfTest {
            file_open,
            file_ioctl,
        })
    }

    /// The refusal counts when it is `EPERM` and the guard's own counter has moved with it.
    fn attack(&self, attack: fn() -> Attack) -> Result<TestOutcome> {
        let before = self.counters()?.canary;
        let attacked = attack();
        let counted = self.counters()?.canary > before;
        Ok(match attacked {
            Attack::Made(Err(Errno::PERM)) if counted => TestOutcome::Refused,
            Attack::Made(Err(Errno::PERM)) => {
                TestOutcome::NotRefused("refused, but not by the guard".to_owned())
            }
            Attack::Made(Err(error)) => TestOutcome::NotRefused(error.to_string()),
            Attack::Made(Ok(())) => TestOutcome::NotRefused("it succeeded".to_owned()),
            Attack::Impossible(why) => TestOutcome::NotTried(why),
        })
    }
}

enum Attack {
    Made(std::result::Result<(), Errno>),
    Impossible(String),
}

/// Makes a node of the canary on a file system of its own and opens it for writing. The file
/// system is never attached to a directory: nobody else can see the node, and mount options of
/// the host (`nodev`) do not apply.
fn open_canary() -> Attack {
    let node = match private_file_system() {
        Ok(root) => root,
        Err(error) => return Attack::Impossible(format!("mounting a private tmpfs: {error}")),
    };
    let number = canary::DEVICE.dev;
    let number = rustix::fs::makedev(dev::major(number), dev::minor(number));
    let mode = Mode::RUSR | Mode::WUSR;
    if let Err(error) = mknodat(&node, "canary", FileType::BlockDevice, mode, number) {
        return Attack::Impossible(format!("making a device node: {error}"));
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Attack::Made(openat(&node, "canary", flags, Mode::empty()).map(drop))
}

fn private_file_system() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

/// Sends the canary's ioctl to the first block device that can be opened for reading.
fn ioctl_canary() -> Attack {
    let device = match any_block_device() {
        Ok(Some(device)) => device,
        Ok(None) => return Attack::Impossible("there is no block device to try it on".to_owned()),
        Err(error) => return Attack::Impossible(format!("looking for a block device: {error}")),
    };
    // SAFETY: the command takes no argument (`_IO`), the descriptor is open, and no driver knows
    // the number, so nothing reads or writes memory of ours.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::c_ulong::from(canary::IOCTL), 0) };
    if result >= 0 {
        return Attack::Made(Ok(()));
    }
    let error = io::Error::last_os_error();
    Attack::Made(Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
}

/// Opens for reading, without waiting, never a removable one: opening those can load a medium.
fn any_block_device() -> io::Result<Option<OwnedFd>> {
    for entry in fs::read_dir("/sys/block")? {
        let entry = entry?;
        let removable = fs::read_to_string(entry.path().join("removable")).unwrap_or_default();
        let size = fs::read_to_string(entry.path().join("size")).unwrap_or_default();
        if removable.trim() != "0" || size.trim() == "0" {
            continue;
        }
        // `!` stands for `/` in sysfs names.
        let name = entry.file_name().to_string_lossy().replace('!', "/");
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(device) = openat(CWD, format!("/dev/{name}"), flags, Mode::empty()) {
            return Ok(Some(File::from(device).into()));
        }
    }
    Ok(None)
}
