//! The log and the files that it was before it was rotated, read from the newest record to the
//! oldest, no further than is asked for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::record::{Body, Record};
use super::reverse::ReverseLines;

/// First bytes of what logrotate(8) compresses with: gzip, xz, bzip2, zstd, lz4.
const COMPRESSED: &[&[u8]] = &[
    &[0x1F, 0x8B],
    &[0xFD, b'7', b'z', b'X', b'Z', 0],
    b"BZh",
    &[0x28, 0xB5, 0x2F, 0xFD],
    &[0x04, 0x22, 0x4D, 0x18],
];

/// The last record of a file is looked for among so many lines.
const LINES_TRIED: usize = 64;

/// One file of the log.
#[derive(Debug)]
struct Segment {
    file: File,
    /// Number of its last record, and the latest time of its last ones.
    last: (u64, String),
}

/// The files of the log, newest first.
#[derive(Debug, Default)]
pub struct Segments {
    readable: Vec<Segment>,
    /// Files that cannot be read as they are: compressed, or without a record.
    pub unread: Vec<PathBuf>,
}

/// What was read, beside the records themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Records.
    pub records: u64,
    /// Files that they are in.
    pub files: usize,
    /// Lines that are no records.
    pub not_records: u64,
    /// Ranges of record numbers that are in no file that can be read.
    pub holes: Vec<Hole>,
    /// Reading ended at the moment that was asked for, not where the log begins.
    pub reached: bool,
}

/// Records that are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Time of the record before; `None` where none was read.
    pub from: Option<String>,
    /// Time of the record after.
    pub to: String,
}

impl Segments {
    /// Finds the files of the log at `path`: itself, and those whose names begin like its own.
    pub fn find(path: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        match File::open(path) {
            Ok(file) => found.add(path, file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        for rotated in rotated(path)? {
            let file = File::open(&rotated)?;
            found.add(&rotated, file)?;
        }
        found.readable.sort_by(|one, other| {
            let key = |segment: &Segment| (segment.last.1.clone(), segment.last.0);
            key(other).cmp(&key(one))
        });
        found.unread.sort();
        Ok(found)
    }

    fn add(&mut self, path: &Path, file: File) -> io::Result<()> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Ok(());
        }
        let last = if is_compressed(&file)? {
            None
        } else {
            last_record(&file, metadata.len())?
        };
        match last {
            Some(last) => self.readable.push(Segment { file, last }),
            None => self.unread.push(path.to_owned()),
        }
        Ok(())
    }

    /// True where there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.readable.is_empty()
    }

    /// Hands every record to `take`, the newest first, down to `since` (as records have their
    /// time) or to where the log begins. A file that was copied is not read twice.
    pub fn walk(&self, since: Option<&str>, mut take: impl FnMut(&Record)) -> io::Result<Extent> {
        let mut walk = Walk::default();
        for segment in &self.readable {
            // The same numbers from an older time: the numbering began anew in between.
            if walk
                .lowest
                .as_ref()
                .is_some_and(|(seq, time)| segment.last.0 >= *seq && segment.last.1 < *time)
            {
                walk.lowest = None;
            }
            walk.extent.files += 1;
            if walk.segment(segment, since, &mut take)? {
                walk.extent.reached = true;
                return Ok(walk.extent);
            }
        }
        if let Some((seq, time)) = walk.lowest
            && seq > 1
        {
            walk.extent.holes.push(Hole {
                first: 1,
                last: seq - 1,
                from: None,
                to: time,
            });
        }
        Ok(walk.extent)
    }
}

#[derive(Default)]
struct Walk {
    extent: Extent,
    /// Number and time of the oldest record so far.
    lowest: Option<(u64, String)>,
}

impl Walk {
    /// Reads one file; true where everything older is from before `since`.
    fn segment(
        &mut self,
        segment: &Segment,
        since: Option<&str>,
        take: &mut impl FnMut(&Record),
    ) -> io::Result<bool> {
        let end = segment.file.metadata()?.len();
        let (mut lines, _) = ReverseLines::new(&segment.file, end)?;
        while let Some(line) = lines.next_line()? {
            let Ok(record) = serde_json::from_slice::<Record>(&line.bytes) else {
                self.extent.not_records += 1;
                continue;
            };
            if !self.is_next(&record) {
                continue;
            }
            let before = since.is_some_and(|since| record.time.as_str() < since);
            if !before {
                self.extent.records += 1;
                take(&record);
            } else if !matches!(record.body, Body::Denial(_)) {
                // A denial has the time of its event and may be written much later. Any other
                // record has the time at which it was written: all that stands before it is older.
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes a hole in the numbers; false for a record that was read already, in a copy.
    fn is_next(&mut self, record: &Record) -> bool {
        if let Some((seq, time)) = &self.lowest {
            if record.seq >= *seq {
                return false;
            }
            if record.seq + 1 < *seq {
                self.extent.holes.push(Hole {
                    first: record.seq + 1,
                    last: seq - 1,
                    from: Some(record.time.clone()),
                    to: time.clone(),
                });
            }
        }
        self.lowest = Some((record.seq, record.time.clone()));
        true
    }
}

/// Files beside the log whose names are its own with `.` or `-` and something.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(directory), Some(own)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let own = own.as_encoded_bytes();
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name.as_encoded_bytes().strip_prefix(own);
        if rest.is_some_and(|rest| matches!(rest.first(), Some(b'.' | b'-')))
            && entry.file_type()?.is_file()
        {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// True for what a compressor of logrotate(8) has written.
pub(super) fn is_compressed(file: &File) -> io::Result<bool> {
    let mut head = [0; 6];
    let read = file.read_at(&mut head, 0)?;
    Ok(COMPRESSED
        .iter()
        .any(|magic| head[..read].starts_with(magic)))
}

/// Number of the last record, and the latest time among the last ones: a denial that was written
/// late has an old one.
fn last_record(file: &File, end: u64) -> io::Result<Option<(u64, String)>> {
    let (mut lines, _) = ReverseLines::new(file, end)?;
    let mut last: Option<(u64, String)> = None;
    for _ in 0..LINES_TRIED {
        let Some(line) = lines.next_line()? else {
            break;
        };
        let Ok(record) = serde_json::from_slice::<Record>(&line.bytes) else {
            continue;
        };
        last = Some(match last {
            None => (record.seq, record.time),
            Some((seq, time)) => (seq, time.max(record.time)),
        });
    }
    Ok(last)
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
