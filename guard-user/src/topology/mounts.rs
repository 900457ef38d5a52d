//! `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).

use std::path::{Component, Path, PathBuf};

use super::parse_dev;

/// One line of a mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// dev_t of the file system (`s_dev`), kernel form. Major 0: no single block device.
    pub dev: u32,
    /// The directory of the file system that is mounted (`/` unless a bind mount or subvolume).
    pub root: String,
    /// Where, as the process sees it.
    pub point: PathBuf,
    /// `ext4`, `btrfs`, ….
    pub fs_type: String,
    /// What was mounted, as the file system tells it.
    pub source: String,
    /// Options of the file system.
    pub options: String,
}

impl Mount {
    /// The file system (not merely this mount of it) can be written.
    pub fn is_writable(&self) -> bool {
        !self.options.split(',').any(|option| option == "ro")
    }

    /// The value of an option `name=value`.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .split(',')
            .filter_map(|option| option.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// A mounted file system of a kind that `resize2fs` grows online.
    pub fn is_ext(&self) -> bool {
        matches!(self.fs_type.as_str(), "ext2" | "ext3" | "ext4")
    }
}

/// What a path of some process lies on, as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// dev_t of the file system.
    pub dev: u32,
    /// Its kind.
    pub fs_type: String,
    /// What was mounted.
    pub source: String,
}

/// The mounts that one process sees, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct MountTable {
    mounts: Vec<Mount>,
}

/// An overlay over an overlay over …: more than this is no real container.
const OVERLAY_DEPTH: u32 = 8;

impl MountTable {
    /// Parses a mount table. A line that is not understood is left out.
    pub fn parse(text: &str) -> Self {
        Self {
            mounts: text.lines().filter_map(parse_line).collect(),
        }
    }

    /// Reads the mount table of a process (a number, or `self`).
    pub fn read(roots: &super::Roots, process: &str) -> std::io::Result<Self> {
        let bytes = std::fs::read(roots.proc.join(process).join("mountinfo"))?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// All of them.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mount that a path without links lies on: the deepest, and of those the last made.
    pub fn of(&self, path: &Path) -> Option<&Mount> {
        let mut best: Option<(&Mount, usize)> = None;
        for mount in &self.mounts {
            if path.starts_with(&mount.point) {
                let depth = mount.point.components().count();
                if best.is_none_or(|(_, deepest)| depth >= deepest) {
                    best = Some((mount, depth));
                }
            }
        }
        best.map(|(mount, _)| mount)
    }

    /// What a path of this table's process lies on. A container's own root is an overlay over
    /// directories of the host, whose table is asked then.
    pub fn locate(&self, host: &Self, path: &Path) -> Option<Location> {
        self.locate_within(host, path, OVERLAY_DEPTH)
    }

    fn locate_within(&self, host: &Self, path: &Path, depth: u32) -> Option<Location> {
        let mount = self.of(path)?;
        if mount.fs_type == "overlay" && depth > 0 {
            let layer = mount.option("upperdir").or_else(|| {
                mount
                    .option("lowerdir")
                    .and_then(|lower| lower.split(':').next())
            });
            if let Some(layer) = layer.map(normal)
                && let Some(found) = host.locate_within(host, &layer, depth - 1)
            {
                return Some(found);
            }
        }
        Some(Location {
            dev: mount.dev,
            fs_type: mount.fs_type.clone(),
            source: mount.source.clone(),
        })
    }
}

fn normal(path: &str) -> PathBuf {
    let mut out = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

fn parse_line(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let dev = parse_dev(fields.nth(2)?)?;
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let _mount_options = fields.next()?;
    // Any number of optional fields, closed by a lone dash.
    fields.by_ref().find(|field| *field == "-")?;
    let fs_type = fields.next()?.to_owned();
    let source = unescape(fields.next()?);
    let options = unescape(fields.next().unwrap_or(""));
    Some(Mount {
        dev,
        root,
        point: point.into(),
        fs_type,
        source,
        options,
    })
}

/// Octal escapes of `/proc`'s tables (fs/seq_file.c `mangle_path`): space, tab, newline, `\`, `#`.
pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).filter(|digits| {
            bytes[at] == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d))
        });
        if let Some(digits) = octal {
            let value = digits
                .iter()
                .fold(0_u32, |sum, digit| sum * 8 + u32::from(digit - b'0'));
            out.push(value as u8);
            at += 4;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
21 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
22 21 0:20 / /proc rw,nosuid - proc proc rw
40 21 253:0 / /var/lib/mysql rw,relatime shared:5 master:2 - xfs /dev/mapper/vg0-data rw,attr2
41 21 0:44 /@data /srv/with\\040space\\134x rw - btrfs /dev/sdb rw,subvol=/@data
50 21 0:60 / /merged rw - overlay overlay rw,lowerdir=/l1:/l2,upperdir=/var/lib/docker/u,workdir=/w
60 21 253:9 / /var/lib/docker rw - ext4 /dev/mapper/vg0-docker ro
broken line
61 21 1:2 / /x rw optional but no dash";

    #[test]
    fn lines_are_read_with_optional_fields_and_escapes() {
        let table = MountTable::parse(TABLE);
        assert_eq!(table.mounts().len(), 6);
        assert_eq!(table.mounts()[2].fs_type, "xfs");
        assert_eq!(table.mounts()[3].point, Path::new("/srv/with space\\x"));
        assert_eq!(table.mounts()[3].root, "/@data");
        assert!(!table.mounts()[5].is_writable());
        assert!(table.mounts()[0].is_writable() && table.mounts()[0].is_ext());
    }

    #[test]
    fn the_deepest_and_last_mount_counts() {
        let table = MountTable::parse(&format!(
            "{TABLE}\n70 40 8:1 / /var/lib/mysql rw - ext4 a rw"
        ));
        let dev = |path: &str| table.of(Path::new(path)).map(|mount| mount.dev);
        assert_eq!(dev("/var/lib/mysql/ibdata1"), Some(8 << 20 | 1));
        assert_eq!(dev("/var/lib/mysqlother"), Some(259 << 20 | 2));
        assert_eq!(dev("relative"), None);
    }

    #[test]
    fn an_overlay_lies_on_its_upper_directory() {
        let table = MountTable::parse(TABLE);
        let location = table
            .locate(&table, Path::new("/merged/var/lib/mysql"))
            .unwrap();
        assert_eq!(location.dev, 253 << 20 | 9);
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescape("a\\9b\\04"), "a\\9b\\04");
        assert_eq!(unescape("\\040"), " ");
    }
}
