//! What lies in directories that are places: what an open is told from, which does not ask for the
//! directory ([`guard_abi::marks`]).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use guard_abi::{FileId, PlaceKind, dev};
use rustix::fs::{Dir, Mode, OFlags, fstat, fstatfs, open};

use crate::topology::kernel_dev;

/// Whether the files of a directory count, and the kernel half rests on the marks of files there.
/// Not in those that lead to data: they say nothing of their files (`guard_ebpf::files::decide`).
pub(super) const fn count(id: FileId, kind: PlaceKind) -> bool {
    id.reserved == 0 && dev::major(id.dev) != 0 && !matches!(kind, PlaceKind::Mount)
}

/// File systems that call a file by one number in its directory and elsewhere (statfs(2) `f_type`,
/// include/uapi/linux/magic.h, fs/xfs/xfs_super.c). FAT does not: fs/fat/dir.c `__fat_readdir`.
const ONE_NUMBER: [i64; 3] = [0xEF53, 0x5846_5342, 0xF2F5_2010];

/// Their numbers; `None` where not all of them can be told.
pub(super) fn read(directories: &[(FileId, PathBuf)]) -> Option<Vec<u64>> {
    read_on(directories, |directory| {
        let kind = fstatfs(directory).map(|fs| fs.f_type);
        kind.is_ok_and(|kind| ONE_NUMBER.contains(&kind))
    })
}

fn read_on(
    directories: &[(FileId, PathBuf)],
    has_one_number: impl Fn(&OwnedFd) -> bool,
) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for (id, path) in directories {
        let directory = open_as(*id, path).filter(&has_one_number)?;
        add(directory, &mut found)?;
    }
    Some(found)
}

fn open_as(id: FileId, path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(path, flags, Mode::empty()).ok()?;
    let now = fstat(&directory).ok()?;
    (now.st_ino == id.ino && kernel_dev(now.st_dev) == id.dev).then_some(directory)
}

fn add(directory: OwnedFd, found: &mut Vec<u64>) -> Option<()> {
    for entry in Dir::new(directory).ok()? {
        let entry = entry.ok()?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push(entry.ino());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use guard_abi::{FileSystem, place_id};

    use super::*;

    #[test]
    fn all_that_lies_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        std::fs::write(&file, "x").expect("written");
        std::fs::create_dir(dir.path().join("below")).expect("made");
        std::fs::write(dir.path().join("below/deep"), "x").expect("written");
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).expect("made");
        let of = |path: &Path| std::fs::symlink_metadata(path).expect("there");
        let own = of(dir.path());
        let id = place_id(FileSystem::Other, kernel_dev(own.dev()), own.ino());
        let directories = [(id, dir.path().to_owned())];
        let mut found = read_on(&directories, |_| true).expect("read");
        found.sort_unstable();
        let names = ["file", "below", "link"];
        let mut expected = names.map(|name| of(&dir.path().join(name)).ino());
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(read_on(&directories, |_| false), None);
    }

    #[test]
    fn another_directory_is_not_taken_for_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = std::fs::metadata(dir.path()).expect("there");
        let id = |dev, ino| place_id(FileSystem::Other, dev, ino);
        let (dev, ino) = (kernel_dev(own.dev()), own.ino());
        let path = dir.path();
        let read = |directories: &[_]| read_on(directories, |_| true);
        assert!(read(&[(id(dev, ino), path.to_owned())]).is_some());
        assert!(read(&[(id(dev, ino + 1), path.to_owned())]).is_none());
        assert!(read(&[(id(dev + 1, ino), path.to_owned())]).is_none());
        let gone = (id(dev, ino), path.join("gone"));
        assert!(read(&[(id(dev, ino), path.to_owned()), gone]).is_none());
    }

    #[test]
    fn directories_that_count() {
        let disk = place_id(FileSystem::Other, 0x0080_0001, 2);
        assert!(count(disk, PlaceKind::Boot) && count(disk, PlaceKind::GuardLog));
        assert!(!count(disk, PlaceKind::Mount));
        assert!(!count(
            place_id(FileSystem::Other, 0x21, 2),
            PlaceKind::Guard
        ));
        assert!(!count(
            place_id(FileSystem::Sysfs, 0x21, 2),
            PlaceKind::Device
        ));
    }
}
