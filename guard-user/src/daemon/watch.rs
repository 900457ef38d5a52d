//! Files whose change the kernel announces: mount tables and swaps by poll(2), executables and
//! LVM's copies of its metadata by inotify.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;

/// A file in `/proc` that raises POLLPRI when it changes (`mountinfo`, `mdstat`, `swaps`).
#[derive(Debug)]
pub struct Announced {
    file: File,
}

impl Announced {
    /// Opens it; `None` where the kernel has no such file.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => {
                let mut announced = Self { file };
                announced.acknowledge()?;
                Ok(Some(announced))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads it once, because mdstat announces only what comes after a read.
    pub fn acknowledge(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut some = [0; 256];
        self.file.read(&mut some).map(drop)
    }
}

impl AsFd for Announced {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Watches executables for being replaced, as package upgrades do: through their directories, since
/// a replaced file is another one.
#[derive(Debug)]
pub struct Executables {
    fd: OwnedFd,
    names: HashSet<OsString>,
    directories: HashSet<PathBuf>,
}

impl Executables {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            fd: new_inotify()?,
            names: HashSet::new(),
            directories: HashSet::new(),
        })
    }

    /// Watches these paths as well; those that cannot be watched are returned with the reason.
    pub fn watch(&mut self, paths: &[PathBuf]) -> Vec<(PathBuf, io::Error)> {
        let events = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::ONLYDIR;
        let mut failed = Vec::new();
        for path in paths {
            let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            self.names.insert(name.to_owned());
            if self.directories.contains(directory) || !directory.is_dir() {
                continue;
            }
            match inotify::add_watch(&self.fd, directory, events) {
                Ok(_) => {
                    self.directories.insert(directory.to_owned());
                }
                Err(error) => failed.push((path.clone(), error.into())),
            }
        }
        failed
    }

    /// Reads all that waits; true where a watched name was touched.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut touched = false;
        each_event(&self.fd, |name| {
            // An overflow has no name, and may have been any of them.
            touched |= name.is_none_or(|name| self.names.contains(&name));
        })?;
        Ok(touched)
    }
}

impl AsFd for Executables {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Watches directories for anything that is made in them or moved there.
#[derive(Debug)]
pub struct Growth {
    fd: OwnedFd,
}

impl Growth {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: new_inotify()? })
    }

    /// Watches these directories as well; one that cannot be watched is returned with the reason.
    /// A directory that has gone and come back is watched again.
    pub fn watch(&self, directories: &[PathBuf]) -> Option<(PathBuf, io::Error)> {
        let events = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::ONLYDIR;
        for directory in directories {
            // The kernel takes the same directory twice for one; there are a few dozen.
            match inotify::add_watch(&self.fd, directory, events) {
                Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(error) => return Some((directory.clone(), error.into())),
            }
        }
        None
    }

    /// Reads all that waits; true where there was anything.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut changed = false;
        each_event(&self.fd, |_| changed = true)?;
        Ok(changed)
    }
}

impl AsFd for Growth {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Watches a directory for files that are put in place by a rename, or taken away.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Watches it as soon as it is there.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        let fd = new_inotify()?;
        let mut directory = Self { fd, path };
        directory.listen()?;
        Ok(directory)
    }

    /// Watches it if it is there by now. Doing it twice changes nothing.
    pub fn listen(&mut self) -> io::Result<()> {
        let events = inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.fd, &self.path, events) {
            Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all that waits; true where there was anything.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut changed = false;
        each_event(&self.fd, |_| changed = true)?;
        Ok(changed)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn new_inotify() -> io::Result<OwnedFd> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    Ok(inotify::init(flags)?)
}

/// Reads all events that wait; each comes with the name of the file it is about.
fn each_event(fd: &OwnedFd, mut seen: impl FnMut(Option<OsString>)) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(fd, &mut room);
    loop {
        match reader.next() {
            Ok(event) => seen(
                event
                    .file_name()
                    .map(|name| OsString::from_vec(name.to_bytes().to_vec())),
            ),
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_that_are_put_in_place_are_noticed() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("backup");
        let mut watch = Directory::new(path.clone()).expect("inotify");
        fs::create_dir(&path).expect("made");
        watch.listen().expect("watched");
        watch.listen().expect("watched twice");
        fs::write(path.join(".lvm_tmp"), b"x").expect("written");
        assert!(!watch.drain().expect("reads"));
        fs::rename(path.join(".lvm_tmp"), path.join("vg0")).expect("renamed");
        assert!(watch.drain().expect("reads"));
        assert!(!watch.drain().expect("reads"));
    }

    #[test]
    fn whatever_is_made_in_a_directory_is_noticed() {
        let root = tempfile::tempdir().expect("a directory");
        let directories = [root.path().to_owned(), "/nonexistent/x".into()];
        let mut watch = Growth::new().expect("inotify");
        assert!(watch.watch(&directories).is_none());
        assert!(!watch.drain().expect("reads"));
        fs::create_dir(root.path().join("grub")).expect("made");
        assert!(watch.watch(&directories).is_none());
        assert!(watch.drain().expect("reads"));
        assert!(!watch.drain().expect("reads"));
    }

    #[test]
    fn replaced_executables_are_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let tool = dir.path().join("lvm");
        let mut watch = Executables::new().expect("inotify");
        assert!(
            watch
                .watch(&[tool.clone(), "/nonexistent/x".into()])
                .is_empty()
        );
        assert!(!watch.drain().expect("reads"));
        fs::write(dir.path().join("other"), b"x").expect("written");
        assert!(!watch.drain().expect("reads"));
        fs::write(dir.path().join("lvm.new"), b"x").expect("written");
        fs::rename(dir.path().join("lvm.new"), &tool).expect("moved");
        assert!(watch.drain().expect("reads"));
        fs::write(&tool, b"y").expect("written");
        assert!(watch.drain().expect("reads"));
    }

    #[test]
    fn a_missing_file_is_none() {
        assert!(
            Announced::open(Path::new("/proc/nonexistent"))
                .expect("no error")
                .is_none()
        );
        assert!(
            Announced::open(Path::new("/proc/self/mountinfo"))
                .expect("opens")
                .is_some()
        );
    }
}
