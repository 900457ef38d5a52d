//! Lines of a file from the last to the first, without reading more of it than is asked for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const CHUNK: u64 = 64 * 1024;

/// Yields complete lines (without their line feed) from the end of a file to its beginning, each
/// with the offset it begins at. What stands after the last line feed is left out.
#[derive(Debug)]
pub struct ReverseLines<'a> {
    file: &'a File,
    /// Offset of the first byte that `held` holds.
    start: u64,
    /// Bytes from `start` on that were read and not yielded yet.
    held: Vec<u8>,
}

/// One line and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Offset of its first byte.
    pub start: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl<'a> ReverseLines<'a> {
    /// Begins before `end`; returns also the offset after the last line feed before `end`, which
    /// is `end` itself where nothing is torn.
    pub fn new(file: &'a File, end: u64) -> io::Result<(Self, u64)> {
        let mut lines = Self {
            file,
            start: end,
            held: Vec::new(),
        };
        loop {
            if let Some(at) = lines.held.iter().rposition(|&byte| byte == b'\n') {
                lines.held.truncate(at + 1);
                let complete = lines.start + at as u64 + 1;
                return Ok((lines, complete));
            }
            if !lines.read_more()? {
                lines.held.clear();
                return Ok((lines, 0));
            }
        }
    }

    /// The line before the one yielded last.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            // `held` ends with the line feed of the line to yield, or is empty.
            if let Some((_, body)) = self.held.split_last()
                && let Some(at) = body.iter().rposition(|&byte| byte == b'\n')
            {
                let bytes = body[at + 1..].to_vec();
                self.held.truncate(at + 1);
                return Ok(Some(Line {
                    start: self.start + at as u64 + 1,
                    bytes,
                }));
            }
            if !self.read_more()? {
                if self.held.pop().is_none() {
                    return Ok(None);
                }
                return Ok(Some(Line {
                    start: 0,
                    bytes: std::mem::take(&mut self.held),
                }));
            }
        }
    }

    fn read_more(&mut self) -> io::Result<bool> {
        if self.start == 0 {
            return Ok(false);
        }
        let from = self.start.saturating_sub(CHUNK);
        // At most CHUNK.
        let mut chunk = vec![0; (self.start - from) as usize];
        self.file.read_exact_at(&mut chunk, from)?;
        chunk.append(&mut self.held);
        self.held = chunk;
        self.start = from;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn check(content: &[u8]) {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("written");
        let (mut lines, complete) =
            ReverseLines::new(&file, content.len() as u64).expect("readable");
        let expected_end = content
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        assert_eq!(complete, expected_end as u64);
        let mut got = Vec::new();
        while let Some(line) = lines.next_line().expect("readable") {
            let start = line.start as usize;
            assert_eq!(&content[start..start + line.bytes.len()], &line.bytes[..]);
            got.push(line.bytes);
        }
        got.reverse();
        let mut expected: Vec<Vec<u8>> = content[..expected_end]
            .split(|&b| b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        expected.pop();
        assert_eq!(got, expected);
    }

    #[test]
    fn long_lines() {
        let mut content = vec![b'a'; 200_000];
        content.push(b'\n');
        content.extend_from_slice(&vec![b'b'; 65_536]);
        content.push(b'\n');
        content.extend_from_slice(b"\n\ntorn");
        check(&content);
        check(b"");
        check(b"\n");
        check(b"torn");
    }

    proptest! {
        #[test]
        fn the_same_lines_as_forwards(content in "[ab\n]{0,300}") {
            check(content.as_bytes());
        }
    }
}
