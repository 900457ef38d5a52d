//! What the guests report for the proof: lines that begin with `@`, between those for people.

use std::collections::BTreeMap;
use std::mem;

use serde_json::Value;

/// Cuts a stream of bytes into lines.
#[derive(Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and gives each finished line to `each`, without its end.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&str)) {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let tail = self.rest.split_off(end + 1);
        let whole = mem::replace(&mut self.rest, tail);
        for line in String::from_utf8_lossy(&whole).lines() {
            each(line);
        }
    }

    /// Gives the unfinished last line.
    pub fn finish(&mut self, each: &mut dyn FnMut(&str)) {
        let rest = mem::take(&mut self.rest);
        if !rest.is_empty() {
            each(&String::from_utf8_lossy(&rest));
        }
    }
}

/// One answer of the database while the script ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it came, ns of the guest's wall clock.
    pub at: u64,
    /// What it was.
    pub text: String,
}

/// What one guest reported.
#[derive(Debug, Default)]
pub struct Facts {
    named: BTreeMap<String, String>,
    /// Each step of the reinstall script: its command line and exit status, in order.
    pub steps: Vec<(String, i32)>,
    /// The answers of the database, in order.
    pub answers: Vec<Answer>,
    /// The audit records, in order.
    pub audit: Vec<Value>,
    /// What `dbguard status --json` said before the script ran.
    pub status: Option<Value>,
    /// Lines with `@` that make no sense; they make the proof fail.
    pub muddled: Vec<String>,
}

impl Facts {
    /// Takes a line if it is a report. Lines for people are left alone: `false`.
    pub fn take(&mut self, line: &str) -> bool {
        let Some((kind, rest)) = line.strip_prefix('@').and_then(|line| line.split_once(' '))
        else {
            return false;
        };
        let understood = match kind {
            "fact" => self.fact(rest),
            "step" => self.step(rest),
            "answer" => self.answer(rest),
            "audit" => serde_json::from_str(rest)
                .map(|value| self.audit.push(value))
                .is_ok(),
            "status" => serde_json::from_str(rest)
                .map(|value| self.status = Some(value))
                .is_ok(),
            _ => return false,
        };
        if !understood {
            self.muddled.push(line.to_owned());
        }
        true
    }

    fn fact(&mut self, rest: &str) -> bool {
        let Some((name, value)) = rest.split_once('=') else {
            return false;
        };
        self.named
            .insert(name.to_owned(), value.to_owned())
            .is_none()
    }

    fn step(&mut self, rest: &str) -> bool {
        let Some((status, command)) = rest.split_once(' ') else {
            return false;
        };
        let Ok(status) = status.parse() else {
            return false;
        };
        self.steps.push((command.to_owned(), status));
        true
    }

    fn answer(&mut self, rest: &str) -> bool {
        let Some((at, text)) = rest.split_once(' ') else {
            return false;
        };
        let Ok(at) = at.parse() else { return false };
        self.answers.push(Answer {
            at,
            text: text.to_owned(),
        });
        true
    }

    /// A named fact; empty where it was not reported.
    pub fn get(&self, name: &str) -> &str {
        self.named.get(name).map_or("", String::as_str)
    }

    /// A named fact that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_wherever_the_stream_is_cut() {
        let stream = b"one\ntwo\n\nthree";
        for cut in 0..=stream.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for piece in [&stream[..cut], &stream[cut..]] {
                lines.feed(piece, &mut |line| seen.push(line.to_owned()));
            }
            lines.finish(&mut |line| seen.push(line.to_owned()));
            assert_eq!(seen, ["one", "two", "", "three"], "cut at {cut}");
        }
    }

    #[test]
    fn reports_are_taken_and_the_rest_is_for_people() {
        let mut facts = Facts::default();
        for line in [
            "@fact a=1=2",
            "@step 1 dd if=x",
            "@answer 7 20000 5",
            "@audit {\"seq\":3}",
        ] {
            assert!(facts.take(line), "{line}");
        }
        for line in ["db1# ls", "@", "@other x", "a @fact b=1", ""] {
            assert!(!facts.take(line), "{line}");
        }
        assert_eq!(facts.get("a"), "1=2");
        assert_eq!(facts.steps, [("dd if=x".to_owned(), 1)]);
        assert_eq!(
            facts.answers,
            [Answer {
                at: 7,
                text: "20000 5".to_owned()
            }]
        );
        assert_eq!(facts.audit[0]["seq"], 3);
        assert!(facts.muddled.is_empty());
        assert!(facts.take("@fact a=again") && facts.take("@audit {") && facts.take("@step x"));
        assert_eq!(facts.muddled.len(), 3);
    }
}
