//! Files of another process's view, and the identity of executables.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use guard_abi::ExeId;

use crate::topology::{MountTable, kernel_dev};

/// As many links as the kernel follows (fs/namei.c `MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// The path without links that `path` leads to for a process whose root directory is `root`. The
/// answer is in that process's terms too. Parts that do not exist are kept as they are.
///
/// The kernel follows an absolute link below `/proc/PID/root` from *our* root, not from the
/// process's, so this walks by hand.
pub fn resolve_in_root(root: &Path, path: &Path) -> PathBuf {
    let mut left: Vec<OsString> = components(path);
    let mut real = PathBuf::from("/");
    let mut links = 0;
    while let Some(next) = left.pop() {
        if next == ".." {
            real.pop();
            continue;
        }
        real.push(&next);
        let Ok(target) = std::fs::read_link(inside(root, &real)) else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            continue;
        }
        real.pop();
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        left.extend(components(&target));
    }
    real
}

/// Components in reverse, so that the next one is at the end.
fn components(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

/// Where our own process finds `path` of a process with this root.
pub(super) fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Where this program was started from. After an upgrade another one lies there.
pub fn own_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        // fs/d_path.c: what a program is called whose file is gone.
        match path
            .to_str()
            .and_then(|text| text.strip_suffix(" (deleted)"))
        {
            Some(path) => PathBuf::from(path),
            None => path,
        }
    })
}

/// Identity of an executable file, links followed, as the kernel half sees it.
///
/// `stat` gives another device number than `i_sb->s_dev` on btrfs and for files of an overlay; the
/// mount table has the right one (fs/proc_namespace.c `show_mountinfo` prints `s_dev`).
pub fn exe_id(mounts: &MountTable, path: &Path) -> io::Result<ExeId> {
    let real = std::fs::canonicalize(path)?;
    let meta = std::fs::metadata(&real)?;
    let dev = mounts
        .of(&real)
        .map_or_else(|| kernel_dev(meta.dev()), |mount| mount.dev);
    Ok(ExeId {
        ino: meta.ino(),
        dev,
        reserved: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("data/mysql")).unwrap();
        std::fs::create_dir_all(root.join("var/lib")).unwrap();
        symlink("/data/mysql", root.join("var/lib/mysql")).unwrap();
        symlink("../../data", root.join("var/lib/up")).unwrap();
        symlink("/loop", root.join("loop")).unwrap();
        let real = |path: &str| resolve_in_root(root, Path::new(path));
        assert_eq!(real("/var/lib/mysql/x"), Path::new("/data/mysql/x"));
        assert_eq!(real("/var/lib/up/mysql"), Path::new("/data/mysql"));
        assert_eq!(real("/../../etc"), Path::new("/etc"));
        let _ends = real("/loop");
    }
}
