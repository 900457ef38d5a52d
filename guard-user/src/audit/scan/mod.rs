//! Reading the log and its rotated files forwards, in the order of the records' numbers, a block at
//! a time: no reader ever holds the log in memory.
//!
//! A scan sees the files as they are when it begins; what is written later is for the next one. A
//! file that holds the same records as another (a copy somebody made) is not read twice. A file
//! that cannot be read is told, never passed over in silence.

pub mod extent;
pub mod parallel;
pub mod peek;
mod runs;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::segments::{is_compressed, rotated};
pub use extent::{Extent, Mark};
pub use peek::{Peek, Text, peek};

/// Bytes that are read at once. Tests cut small logs as finely as large ones are cut.
const BLOCK: u64 = if cfg!(test) { 64 << 10 } else { 4 << 20 };
/// A line longer than this is no record: the longest that the writer makes are some 100 KiB.
const LINE_MAX: u64 = if cfg!(test) { 128 << 10 } else { 4 << 20 };
/// The first and the last record of a file are looked for among so many bytes.
const ENDS: u64 = 256 << 10;

/// The files of a log, oldest first.
#[derive(Debug, Default)]
pub struct Scan {
    segments: Vec<Segment>,
    /// Files that cannot be read as they are.
    pub unread: Vec<Unread>,
}

/// A file of the log that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unread {
    /// Which.
    pub path: PathBuf,
    /// Why, and what to do about it.
    pub why: &'static str,
}

/// One file of the log.
#[derive(Debug)]
pub struct Segment {
    /// Which.
    pub path: PathBuf,
    file: File,
    /// Offset of the first record that no older file has.
    begin: u64,
    /// Offset behind the last complete line.
    end: u64,
    /// Its first record.
    pub first: Mark,
    /// Its last record.
    pub last: Mark,
    /// The latest time of its first and last ones: a denial that was written late has an old one.
    pub latest: String,
    /// Files of one numbering share this.
    run: usize,
}

/// A stretch of a file: the lines that begin in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Index of the file.
    pub segment: usize,
    /// Numbering that the file belongs to.
    pub run: usize,
    start: u64,
    stop: u64,
}

impl Scan {
    /// Finds the files of the log at `path`: itself, and those whose names begin like its own.
    pub fn find(path: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        let mut seen = Vec::new();
        let own = [path.to_owned()];
        for path in own.into_iter().chain(rotated(path)?) {
            let file = match File::open(&path) {
                Ok(file) => file,
                // Not written yet, or removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // Renamed while they were listed: the same file under two names.
            let metadata = file.metadata()?;
            let which = (metadata.dev(), metadata.ino());
            if !metadata.is_file() || metadata.len() == 0 || seen.contains(&which) {
                continue;
            }
            seen.push(which);
            match Segment::look_at(path.clone(), file, metadata.len())? {
                Ok(segment) => found.segments.push(segment),
                Err(why) => found.unread.push(Unread { path, why }),
            }
        }
        found.segments = runs::arrange(found.segments)?;
        found.unread.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// True where there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The files that are read, oldest first.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// All of the log.
    pub fn blocks(&self) -> Vec<Block> {
        self.blocks_of(|_| true)
    }

    /// All of the log but the files that end before `time` (RFC 3339 in UTC). Whoever asks for a
    /// period gives a time some way before it: the clock may have been set back.
    pub fn blocks_since(&self, time: Option<&str>) -> Vec<Block> {
        self.blocks_of(|segment| time.is_none_or(|time| segment.latest.as_str() >= time))
    }

    fn blocks_of(&self, wanted: impl Fn(&Segment) -> bool) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            if wanted(segment) {
                segment.cut(at, segment.begin, &mut blocks);
            }
        }
        blocks
    }

    /// The lines from the record with number `seq` on, in order.
    pub fn from_seq(&self, seq: u64) -> io::Result<Forward<'_>> {
        let mut blocks = Vec::new();
        // Where the numbering began anew, the numbers are those of the newest.
        let run = self.segments.last().map(|newest| newest.run);
        for (at, segment) in self.segments.iter().enumerate() {
            if Some(segment.run) == run && segment.last.seq >= seq {
                let begin = if segment.first.seq >= seq {
                    segment.begin
                } else {
                    segment.offset_of(seq)?.max(segment.begin)
                };
                segment.cut(at, begin, &mut blocks);
            }
        }
        Ok(Forward::new(self, blocks))
    }

    /// The lines of these blocks, in order.
    pub fn forward(&self, blocks: Vec<Block>) -> Forward<'_> {
        Forward::new(self, blocks)
    }

    /// Reads the lines of a block into `buffer`, each with its line feed. A line longer than any
    /// record is left out but for its first [`LINE_MAX`] bytes, which are no record either.
    pub fn read<'b>(&self, block: &Block, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        let segment = &self.segments[block.segment];
        // The byte before tells whether a line begins at `start`.
        let from = block.start - u64::from(block.start > segment.begin);
        buffer.clear();
        segment.extend(buffer, from, block.stop)?;
        let head = if from == block.start {
            0
        } else {
            match memchr::memchr(b'\n', buffer) {
                Some(at) if from + (at as u64) + 1 < block.stop => at + 1,
                _ => return Ok(&[]),
            }
        };
        let mut at = block.stop;
        while buffer.last() != Some(&b'\n') && at < segment.end && at < block.stop + LINE_MAX {
            let so_far = buffer.len();
            let to = (at + (64 << 10)).min(segment.end);
            segment.extend(buffer, at, to)?;
            at = to;
            if let Some(end) = memchr::memchr(b'\n', &buffer[so_far..]) {
                buffer.truncate(so_far + end + 1);
            }
        }
        Ok(&buffer[head..])
    }
}

impl Segment {
    /// Looks at the ends of a file; says why where it is none of the log.
    fn look_at(path: PathBuf, file: File, len: u64) -> io::Result<Result<Self, &'static str>> {
        if is_compressed(&file)? {
            return Ok(Err(
                "it is compressed; decompress it beside the log (gunzip -k)",
            ));
        }
        let Some(end) = last_line_feed(&file, len)? else {
            return Ok(Err("it has no complete line"));
        };
        let mut segment = Self {
            path,
            file,
            begin: 0,
            end,
            first: Mark {
                seq: 0,
                time: String::new(),
            },
            last: Mark {
                seq: 0,
                time: String::new(),
            },
            latest: String::new(),
            run: 0,
        };
        let head = segment.records(0, ENDS.min(end))?;
        let tail = segment.records(end.saturating_sub(ENDS), end)?;
        let (Some(first), Some(last)) = (head.first(), tail.last()) else {
            return Ok(Err("no record of dbguard was found at its ends"));
        };
        segment.first = first.clone();
        segment.last = last.clone();
        let times = head.iter().chain(&tail).map(|mark| &mark.time);
        segment.latest = times.max().cloned().unwrap_or_default();
        Ok(Ok(segment))
    }

    /// The records whose lines lie between two offsets.
    fn records(&self, from: u64, to: u64) -> io::Result<Vec<Mark>> {
        let mut bytes = Vec::new();
        self.extend(&mut bytes, from, to)?;
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        Ok(lines(&bytes[..whole])
            .filter_map(peek)
            .map(|peek| Mark {
                seq: peek.seq,
                time: peek.time.into_owned(),
            })
            .collect())
    }

    fn extend(&self, buffer: &mut Vec<u8>, from: u64, to: u64) -> io::Result<()> {
        let held = buffer.len();
        // No more than a block and a line.
        buffer.resize(held + (to - from) as usize, 0);
        self.file.read_exact_at(&mut buffer[held..], from)
    }

    fn cut(&self, segment: usize, begin: u64, blocks: &mut Vec<Block>) {
        let mut start = begin;
        while start < self.end {
            let stop = (start / BLOCK + 1) * BLOCK;
            let stop = stop.min(self.end);
            blocks.push(Block {
                segment,
                run: self.run,
                start,
                stop,
            });
            start = stop;
        }
    }

    /// Offset of the first record whose number is `seq` or higher; numbers grow in a file.
    fn offset_of(&self, seq: u64) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.end);
        while low < high {
            let middle = u64::midpoint(low, high);
            match self.record_from(middle)? {
                Some((start, end, mark)) if mark.seq < seq => low = end.max(start),
                _ => high = middle,
            }
        }
        // The first line that begins at or behind `low` is the one.
        Ok(self.record_from(low)?.map_or(self.end, |(start, ..)| start))
    }

    /// The first record whose line begins at or behind `offset`: where it begins and ends.
    fn record_from(&self, offset: u64) -> io::Result<Option<(u64, u64, Mark)>> {
        let mut from = offset - u64::from(offset > 0);
        let mut skip_first = offset > 0;
        let mut length = 16 << 10;
        while from < self.end {
            let mut bytes = Vec::new();
            let to = (from + length).min(self.end);
            self.extend(&mut bytes, from, to)?;
            let mut at = 0;
            while let Some(end) = memchr::memchr(b'\n', &bytes[at..]) {
                let line = &bytes[at..at + end];
                let start = from + at as u64;
                at += end + 1;
                if std::mem::take(&mut skip_first) {
                    continue;
                }
                if let Some(peek) = peek(line) {
                    let mark = Mark {
                        seq: peek.seq,
                        time: peek.time.into_owned(),
                    };
                    return Ok(Some((start, from + at as u64, mark)));
                }
            }
            if at == 0 && length < LINE_MAX {
                length *= 4;
            } else if at == 0 {
                // Inside a line that is no record.
                from = to;
                skip_first = true;
            } else {
                from += at as u64;
            }
        }
        Ok(None)
    }

    /// The line of the record with this number.
    fn line_of(&self, seq: u64) -> io::Result<Option<Vec<u8>>> {
        let offset = self.offset_of(seq)?;
        let Some((start, end, mark)) = self.record_from(offset)? else {
            return Ok(None);
        };
        if mark.seq != seq {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.extend(&mut bytes, start, end)?;
        Ok(Some(bytes))
    }
}

/// The lines of some bytes, without their line feeds.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}

/// Offset behind the last line feed.
fn last_line_feed(file: &File, len: u64) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; 64 << 10];
    let mut end = len;
    while end > 0 {
        let from = end.saturating_sub(chunk.len() as u64);
        // At most the chunk's length.
        let part = &mut chunk[..(end - from) as usize];
        file.read_exact_at(part, from)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(Some(from + at as u64 + 1));
        }
        end = from;
    }
    Ok(None)
}

/// The lines of a log, one after the other.
#[derive(Debug)]
pub struct Forward<'s> {
    scan: &'s Scan,
    blocks: std::vec::IntoIter<Block>,
    buffer: Vec<u8>,
    /// What of the buffer is left.
    left: std::ops::Range<usize>,
}

impl<'s> Forward<'s> {
    fn new(scan: &'s Scan, blocks: Vec<Block>) -> Self {
        Self {
            scan,
            blocks: blocks.into_iter(),
            buffer: Vec::new(),
            left: 0..0,
        }
    }

    /// The next line, without its line feed. It may be none that [`peek`] knows.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        while self.left.is_empty() {
            let Some(block) = self.blocks.next() else {
                return Ok(None);
            };
            let read = self.scan.read(&block, &mut self.buffer)?.len();
            self.left = self.buffer.len() - read..self.buffer.len();
        }
        let start = self.left.start;
        let end = memchr::memchr(b'\n', &self.buffer[self.left.clone()])
            .map_or(self.left.end, |at| start + at);
        self.left.start = (end + 1).min(self.left.end);
        Ok(Some(&self.buffer[start..end]))
    }
}

#[cfg(test)]
mod tests;
