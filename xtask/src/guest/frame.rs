//! What the guest says to the host among the script's output. A word is framed as
//! `RS nonce SP word [= value] RS LF`, RS being the record separator 0x1e; everything else is the
//! script's output, passed on byte for byte.

use std::mem;

const RS: u8 = 0x1e;
/// A frame longer than this is output that happens to begin like one.
const LONGEST: usize = 400;

/// A word from the guest.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    /// The guest is as asked; the script starts now.
    Start,
    /// The script ended with this status.
    Exit(u8),
    /// The guest did not become what was asked, and why.
    Broken(String),
}

/// Splits the stream; a frame may arrive in any number of pieces.
pub struct Frames {
    head: Vec<u8>,
    pending: Vec<u8>,
}

impl Frames {
    /// A splitter for the frames of one run.
    pub fn new(nonce: &str) -> Self {
        let mut head = vec![RS];
        head.extend_from_slice(nonce.as_bytes());
        head.push(b' ');
        Self {
            head,
            pending: Vec::new(),
        }
    }

    /// Takes the next bytes; gives output to `output` and the words in them.
    pub fn feed(&mut self, bytes: &[u8], mut output: impl FnMut(&[u8])) -> Vec<Word> {
        let mut data = mem::take(&mut self.pending);
        data.extend_from_slice(bytes);
        let mut words = Vec::new();
        let mut rest = data.as_slice();
        while let Some(at) = rest.iter().position(|byte| *byte == RS) {
            emit(&rest[..at], &mut output);
            rest = &rest[at..];
            let known = rest.len().min(self.head.len());
            if rest[..known] != self.head[..known] {
                emit(&rest[..1], &mut output);
                rest = &rest[1..];
                continue;
            }
            match parse(&rest[known..]) {
                Parsed::Word(word, length) if known == self.head.len() => {
                    words.push(word);
                    rest = &rest[known + length..];
                }
                Parsed::Incomplete if rest.len() < LONGEST => {
                    self.pending = rest.to_vec();
                    return words;
                }
                _ => {
                    emit(&rest[..1], &mut output);
                    rest = &rest[1..];
                }
            }
        }
        emit(rest, &mut output);
        words
    }

    /// What the stream ended with, if it ended inside something like a frame.
    pub fn rest(&mut self) -> Vec<u8> {
        mem::take(&mut self.pending)
    }
}

fn emit(bytes: &[u8], output: &mut impl FnMut(&[u8])) {
    if !bytes.is_empty() {
        output(bytes);
    }
}

enum Parsed {
    Word(Word, usize),
    Incomplete,
    NotAFrame,
}

fn parse(body: &[u8]) -> Parsed {
    let Some(end) = body.iter().position(|byte| *byte == RS) else {
        return Parsed::Incomplete;
    };
    match body.get(end + 1) {
        None => return Parsed::Incomplete,
        Some(b'\n') => {}
        Some(_) => return Parsed::NotAFrame,
    }
    let text = String::from_utf8_lossy(&body[..end]);
    let word = match text.split_once('=') {
        None if text == "start" => Word::Start,
        Some(("exit", status)) => match status.parse() {
            Ok(status) => Word::Exit(status),
            Err(_) => return Parsed::NotAFrame,
        },
        Some(("broken", why)) => Word::Broken(why.to_owned()),
        _ => return Parsed::NotAFrame,
    };
    Parsed::Word(word, end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> (Vec<u8>, Vec<Word>) {
        let mut frames = Frames::new("n0");
        let (mut output, mut words) = (Vec::new(), Vec::new());
        for piece in pieces {
            words.extend(frames.feed(piece, |bytes| output.extend_from_slice(bytes)));
        }
        output.extend(frames.rest());
        (output, words)
    }

    #[test]
    fn words_are_taken_out_wherever_the_stream_is_cut() {
        let stream = b"\x1en0 start\x1e\nhello\nno newline\x1en0 exit=7\x1e\n";
        for cut in 0..=stream.len() {
            let (output, words) = split(&[&stream[..cut], &stream[cut..]]);
            assert_eq!(output, b"hello\nno newline", "cut at {cut}");
            assert_eq!(words, [Word::Start, Word::Exit(7)], "cut at {cut}");
        }
    }

    #[test]
    fn another_nonce_or_a_bad_word_is_output() {
        for stream in [
            b"\x1en1 exit=0\x1e\n".as_slice(),
            b"\x1en0 exit=256\x1e\n",
            b"\x1en0 exit=\x1e\n",
            b"\x1en0 finish\x1e\n",
            b"\x1en0 exit=0\x1e;",
            b"\x1e\x1e\x1e",
            b"\x1en0 exit=0",
        ] {
            assert_eq!(split(&[stream]), (stream.to_vec(), vec![]));
        }
    }

    #[test]
    fn two_verdicts_are_two_words() {
        let (_, words) = split(&[b"\x1en0 exit=0\x1e\n\x1en0 exit=1\x1e\n"]);
        assert_eq!(words, [Word::Exit(0), Word::Exit(1)]);
    }

    #[test]
    fn an_endless_frame_does_not_hold_output_back() {
        let mut stream = b"\x1en0 broken=".to_vec();
        stream.extend(vec![b'x'; 1000]);
        assert_eq!(split(&[&stream]), (stream.clone(), vec![]));
    }
}
