//! Names behind numbers: ioctl commands, open flags, device flags, users.

use std::fs;
use std::path::Path;

use guard_abi::{SystemCall, device_flag, reboot};

/// Commands that are met on block devices and drives. From the kernel's uapi headers: linux/fs.h,
/// linux/blkpg.h, linux/blkzoned.h, linux/hdreg.h, linux/nvme_ioctl.h, scsi/sg.h, linux/cdrom.h,
/// linux/pr.h, linux/sed-opal.h, linux/raid/md_u.h, linux/loop.h, linux/mmc/ioctl.h.
const COMMANDS: &[(u32, &str)] = &[
    (0x125d, "BLKROSET"),
    (0x125f, "BLKRRPART"),
    (0x1261, "BLKFLSBUF"),
    (0x1262, "BLKRASET"),
    (0x1269, "BLKPG"),
    (0x1277, "BLKDISCARD"),
    (0x127d, "BLKSECDISCARD"),
    (0x127f, "BLKZEROOUT"),
    (0x4008_1271, "BLKBSZSET"),
    (0x4010_1283, "BLKRESETZONE"),
    (0x4010_1286, "BLKOPENZONE"),
    (0x4010_1287, "BLKCLOSEZONE"),
    (0x4010_1288, "BLKFINISHZONE"),
    (0x1200, "BLOCK_URING_CMD_DISCARD"),
    (0x0001, "SCSI_IOCTL_SEND_COMMAND"),
    (0x2285, "SG_IO"),
    (0x2284, "SG_SCSI_RESET"),
    (0x5393, "CDROM_SEND_PACKET"),
    (0x031d, "HDIO_DRIVE_TASKFILE"),
    (0x031e, "HDIO_DRIVE_TASK"),
    (0x031f, "HDIO_DRIVE_CMD"),
    (0xc048_4e41, "NVME_IOCTL_ADMIN_CMD"),
    (0x4030_4e42, "NVME_IOCTL_SUBMIT_IO"),
    (0xc048_4e43, "NVME_IOCTL_IO_CMD"),
    (0x4e44, "NVME_IOCTL_RESET"),
    (0x4e45, "NVME_IOCTL_SUBSYS_RESET"),
    (0x4e46, "NVME_IOCTL_RESCAN"),
    (0xc050_4e47, "NVME_IOCTL_ADMIN64_CMD"),
    (0xc050_4e48, "NVME_IOCTL_IO64_CMD"),
    (0xc050_4e49, "NVME_IOCTL_IO64_CMD_VEC"),
    (0xc048_4e80, "NVME_URING_CMD_IO"),
    (0xc048_4e81, "NVME_URING_CMD_IO_VEC"),
    (0xc048_4e82, "NVME_URING_CMD_ADMIN"),
    (0xc048_4e83, "NVME_URING_CMD_ADMIN_VEC"),
    (0x4018_70c8, "IOC_PR_REGISTER"),
    (0x4010_70c9, "IOC_PR_RESERVE"),
    (0x4010_70ca, "IOC_PR_RELEASE"),
    (0x4018_70cb, "IOC_PR_PREEMPT"),
    (0x4018_70cc, "IOC_PR_PREEMPT_ABORT"),
    (0x4010_70cd, "IOC_PR_CLEAR"),
    (0x4108_70e2, "IOC_OPAL_REVERT_TPR"),
    (0x4108_70e8, "IOC_OPAL_PSID_REVERT_TPR"),
    (0x4110_70e6, "IOC_OPAL_ERASE_LR"),
    (0x4110_70e7, "IOC_OPAL_SECURE_ERASE_LR"),
    (0x4118_70dd, "IOC_OPAL_LOCK_UNLOCK"),
    (0x4014_0921, "ADD_NEW_DISK"),
    (0x0922, "HOT_REMOVE_DISK"),
    (0x0928, "HOT_ADD_DISK"),
    (0x0929, "SET_DISK_FAULTY"),
    (0x400c_0930, "RUN_ARRAY"),
    (0x0932, "STOP_ARRAY"),
    (0x0933, "STOP_ARRAY_RO"),
    (0x4048_0923, "SET_ARRAY_INFO"),
    (0x4c00, "LOOP_SET_FD"),
    (0x4c01, "LOOP_CLR_FD"),
    (0x4c04, "LOOP_SET_STATUS64"),
    (0x4c06, "LOOP_CHANGE_FD"),
    (0x4c0a, "LOOP_CONFIGURE"),
    (0xc048_b300, "MMC_IOC_CMD"),
    (0xc008_b301, "MMC_IOC_MULTI_CMD"),
    (0xab04, "NBD_CLEAR_SOCK"),
    (0xab05, "NBD_CLEAR_QUE"),
    (0xab08, "NBD_DISCONNECT"),
    (0xc004_5877, "FIFREEZE"),
    (0x8004_587d, "FS_IOC_SHUTDOWN"),
    (0x7040, "NVRAM_INIT"),
    (0x7041, "NVRAM_SETCKS"),
    (0x8028_690d, "IPMICTL_SEND_COMMAND"),
    (0x8030_6915, "IPMICTL_SEND_COMMAND_SETTIME"),
    (0x8014_690d, "COMPAT_IPMICTL_SEND_COMMAND"),
    (0x801c_6915, "COMPAT_IPMICTL_SEND_COMMAND_SETTIME"),
    (0xc138_fd01, "DM_REMOVE_ALL"),
    (0xc138_fd04, "DM_DEV_REMOVE"),
    (0xc138_fd05, "DM_DEV_RENAME"),
    (0xc138_fd06, "DM_DEV_SUSPEND"),
    (0xc138_fd09, "DM_TABLE_LOAD"),
    (0xc138_fd0e, "DM_TARGET_MSG"),
];

/// The name of an ioctl or io_uring command.
pub fn command(number: u32) -> Option<&'static str> {
    COMMANDS
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, name)| *name)
}

/// What was done to the machine itself: a command of reboot(2), or a system call.
pub fn system_call(number: u32) -> Option<&'static str> {
    reboot::NAMES
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, name)| *name)
        .or_else(|| {
            let call = u8::try_from(number).ok().and_then(SystemCall::from_u8)?;
            Some(call.as_str())
        })
}

/// Open flags in words: `O_WRONLY|O_EXCL`.
pub fn open_flags(flags: u32) -> String {
    // libc's constants are `int`; every one of these is positive.
    let bit = |constant: libc::c_int| constant.cast_unsigned();
    let mut words = vec![match flags & bit(libc::O_ACCMODE) {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "access mode 3",
    }];
    for (constant, word) in [
        (libc::O_CREAT, "O_CREAT"),
        (libc::O_EXCL, "O_EXCL"),
        (libc::O_TRUNC, "O_TRUNC"),
        (libc::O_APPEND, "O_APPEND"),
        (libc::O_DIRECT, "O_DIRECT"),
        (libc::O_DSYNC, "O_DSYNC"),
        (libc::O_NONBLOCK, "O_NONBLOCK"),
    ] {
        if flags & bit(constant) != 0 {
            words.push(word);
        }
    }
    words.join("|")
}

/// Names of [`device_flag`] bits.
pub fn device_flags(flags: u32) -> Vec<String> {
    [
        (device_flag::CRITICAL_DATA, "critical-data"),
        (device_flag::IN_USE, "in-use"),
        (device_flag::LVM_PV, "lvm-pv"),
        (device_flag::MD_MEMBER, "md-member"),
        (device_flag::EXT_MOUNTED, "ext-mounted"),
        (device_flag::DB_RAW, "db-raw"),
        (device_flag::DISK_PROTECTED, "disk-protected"),
        (device_flag::MD_REDUNDANT, "md-redundant"),
        (device_flag::INHERITED, "inherited"),
        (device_flag::REMEMBERED, "remembered"),
        (device_flag::BOOT_DISK, "boot-disk"),
        (device_flag::BOOT_PARTITION, "boot-partition"),
    ]
    .into_iter()
    .filter(|(bit, _)| flags & bit != 0)
    .map(|(_, name)| name.to_owned())
    .collect()
}

/// Name of a user from `etc/passwd` below `root`. Users of a directory service are not looked up:
/// the guard must not wait for a network to write a record.
pub fn user(root: &Path, uid: u32) -> Option<String> {
    let text = fs::read_to_string(root.join("etc/passwd")).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}

/// A reason of [`crate::topology::Why`] as a sentence about `it`.
pub fn sentence(reason: &str) -> String {
    match reason.split([' ', ',', ':']).next().unwrap_or_default() {
        "carries" | "may" | "lies" | "passes" => format!("it {reason}"),
        "below" => format!("it lies {reason}"),
        "root" => format!("it is the {reason}"),
        "physical" => format!("it is a {reason}"),
        _ => format!("it is {reason}"),
    }
}

/// Text made safe for a terminal or a message: control characters, among them those of Unicode
/// that change the direction of writing, are spelled as escapes.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        let hidden = letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hidden {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(command(0x1277), Some("BLKDISCARD"));
        assert_eq!(command(0xdead_beef), None);
        assert_eq!(open_flags(0o200_002), "O_RDWR");
        assert_eq!(open_flags(0o301), "O_WRONLY|O_CREAT|O_EXCL");
        assert_eq!(open_flags(3), "access mode 3");
        assert_eq!(device_flags(0b11), ["critical-data", "in-use"]);
    }

    #[test]
    fn commands_are_told_once() {
        for (at, (number, name)) in COMMANDS.iter().enumerate() {
            assert!(
                COMMANDS[..at].iter().all(|(n, w)| n != number && w != name),
                "{name}"
            );
        }
    }

    #[test]
    fn users() {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir(root.path().join("etc")).expect("made");
        fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\n:::\nbad\nann:x:1000:1::/:/\n",
        )
        .expect("written");
        assert_eq!(user(root.path(), 1000).as_deref(), Some("ann"));
        assert_eq!(user(root.path(), 5), None);
    }

    #[test]
    fn reasons_make_sentences() {
        use crate::topology::Why;
        let said = |why: Why| sentence(&why.to_string());
        assert_eq!(
            said(Why::Mount { point: "/".into() }),
            "it is the root file system"
        );
        assert_eq!(
            said(Why::Mount {
                point: "/srv".into()
            }),
            "it is mounted on /srv"
        );
        assert_eq!(said(Why::Swap), "it is swap");
        assert_eq!(
            said(Why::Below {
                name: "dm-0".into()
            }),
            "it lies below dm-0"
        );
        let remembered = Why::Remembered {
            what: "carries /a".into(),
            weak: true,
        };
        assert!(said(remembered).starts_with("it is remembered, recognised"));
    }

    #[test]
    fn nothing_reaches_a_terminal_raw() {
        assert_eq!(
            printable("a\u{1b}[2J\r\n\u{202e}ü"),
            "a\\u{1b}[2J\\r\\n\\u{202e}ü"
        );
    }
}
