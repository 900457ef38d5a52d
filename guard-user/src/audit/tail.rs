//! Reading the log without the controller.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::record::Record;
use super::reverse::ReverseLines;

/// The last `count` complete lines, oldest first, and the offset they end at.
pub fn last_lines(file: &File, count: usize) -> io::Result<(Vec<String>, u64)> {
    let (mut lines, end) = ReverseLines::new(file, file.metadata()?.len())?;
    let mut last = Vec::new();
    while last.len() < count
        && let Some(line) = lines.next_line()?
    {
        last.push(String::from_utf8_lossy(&line.bytes).into_owned());
    }
    last.reverse();
    Ok((last, end))
}

/// The newest record that `wanted` accepts.
pub fn find_last(
    path: &Path,
    mut wanted: impl FnMut(&Record) -> bool,
) -> io::Result<Option<Record>> {
    let file = File::open(path)?;
    let (mut lines, _) = ReverseLines::new(&file, file.metadata()?.len())?;
    while let Some(line) = lines.next_line()? {
        if let Ok(record) = serde_json::from_slice::<Record>(&line.bytes)
            && wanted(&record)
        {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Follows a log that grows, across rotation.
#[derive(Debug)]
pub struct Follower<'a> {
    path: &'a Path,
    file: File,
    at: u64,
}

impl<'a> Follower<'a> {
    /// Goes on at `at`.
    pub fn new(path: &'a Path, file: File, at: u64) -> Self {
        Self { path, file, at }
    }

    /// Complete lines that were added since the last call.
    pub fn more(&mut self) -> io::Result<Vec<String>> {
        let mut lines = self.read_on()?;
        let ours = self.file.metadata()?;
        if let Ok(there) = std::fs::metadata(self.path)
            && (there.ino() != ours.ino() || there.dev() != ours.dev())
        {
            self.file = File::open(self.path)?;
            self.at = 0;
            lines.extend(self.read_on()?);
        }
        Ok(lines)
    }

    fn read_on(&mut self) -> io::Result<Vec<String>> {
        if self.file.metadata()?.len() < self.at {
            self.at = 0;
        }
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let complete = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        self.at += complete as u64;
        Ok(bytes[..complete]
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| String::from_utf8_lossy(&line[..line.len() - 1]).into_owned())
            .collect())
    }
}
