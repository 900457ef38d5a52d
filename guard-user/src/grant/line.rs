//! One line of an `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS; sshsig.c
//! `parse_principals_key_and_options`, `sshsigopt_parse`).

use thiserror::Error;

use super::certificate::Certificate;
use super::key::{Key, KeyError};
use super::pattern::is_pattern;
use super::wire::{Wire, base64};

/// Longest line: OpenSSH's longest public key (`SSH_MAX_PUBKEY_BYTES`) fits.
pub(super) const LONGEST: usize = 16 * 1024;

/// Why a line authorises nobody.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LineError {
    /// A NUL or another control character, at which other programs may stop reading.
    #[error("it has a control character in it; write it again in plain text")]
    Control,
    /// Not UTF-8.
    #[error("it is not UTF-8; write it again in plain text")]
    NotUtf8,
    /// Longer than any key.
    #[error("it is longer than {LONGEST} bytes; write one key a line")]
    Long,
    /// Principals without a key.
    #[error("it has no key; write: PRINCIPAL [OPTIONS] KEYTYPE BASE64")]
    NoKey,
    /// A name that is not plain.
    #[error("the principal {0:?} is not plain ASCII; letters that look alike would name others")]
    NotPlain(String),
    /// Nothing between two commas.
    #[error("a principal is missing between two commas; remove one of them")]
    NoPrincipal,
    /// A pattern for a plain key.
    #[error(
        "the principal {0:?} is a pattern, and a plain key belongs to one person; write that person's name, as two signers must be told apart"
    )]
    Pattern(String),
    /// An option that is not known.
    #[error(
        "the option {0:?} is not known; remove it, or correct it to cert-authority, namespaces, valid-after or valid-before"
    )]
    Option(String),
    /// The same option twice.
    #[error("the option {0} is there twice; remove one of them")]
    Repeated(&'static str),
    /// A value that is missing, or not in double quotes.
    #[error("the value of {0} must be in double quotes, and end on the line")]
    Quotes(&'static str),
    /// A comma that nothing follows.
    #[error("the options end in a comma; remove it")]
    Comma,
    /// A time without a zone.
    #[error(
        "{option}=\"{text}\" does not say in which time zone; write it in UTC, with a Z: {option}=\"{text}Z\""
    )]
    Zone {
        /// Which option.
        option: &'static str,
        /// Its value.
        text: String,
    },
    /// Not a time.
    #[error("{option}={text:?} is no time; write YYYYMMDDZ or YYYYMMDDHHMM[SS]Z")]
    Time {
        /// Which option.
        option: &'static str,
        /// Its value.
        text: String,
    },
    /// It ends before it begins.
    #[error("valid-before is not later than valid-after; correct one of them")]
    Backwards,
    /// The key's text.
    #[error("the key is not base 64; copy it again from the .pub file")]
    NotBase64,
    /// Type and key do not fit.
    #[error("it says {named}, and the key is of type {found:?}; copy both from the .pub file")]
    OtherType {
        /// What the line says.
        named: String,
        /// What the key says.
        found: String,
    },
    /// The key.
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// Whom a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// One person; the first name is theirs, the others stand for it.
    Person { name: String, others: Vec<String> },
    /// An authority, for the principals that match this list.
    Authority { principals: String },
}

/// What a line authorises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) who: Who,
    pub(super) key: Key,
    /// A pattern list.
    pub(super) namespaces: Option<String>,
    /// Seconds since 1970; the first at which it is valid.
    pub(super) valid_after: Option<u64>,
    /// The last.
    pub(super) valid_before: Option<u64>,
}

#[derive(Default)]
struct Options {
    authority: bool,
    namespaces: Option<String>,
    valid_after: Option<u64>,
    valid_before: Option<u64>,
}

/// Reads a line without its end. `None` if it is empty or a comment.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Line>, LineError> {
    if bytes.len() > LONGEST {
        return Err(LineError::Long);
    }
    let text = str::from_utf8(bytes).map_err(|_| LineError::NotUtf8)?;
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.contains(|letter: char| letter.is_control() && letter != '\t') {
        return Err(LineError::Control);
    }
    let text = text.trim_matches(BLANKS);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (principals, rest) = word(text);
    if rest.is_empty() {
        return Err(LineError::NoKey);
    }
    let (options, rest) = if is_type(word(rest).0) {
        (Options::default(), rest)
    } else {
        options(rest)?
    };
    let key = key(rest)?;
    let who = who(principals, options.authority)?;
    if let (Some(after), Some(before)) = (options.valid_after, options.valid_before)
        && before <= after
    {
        return Err(LineError::Backwards);
    }
    Ok(Some(Line {
        who,
        key,
        namespaces: options.namespaces,
        valid_after: options.valid_after,
        valid_before: options.valid_before,
    }))
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The first word, and what follows the blanks behind it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(BLANKS).map_or((text, ""), |(word, rest)| {
        (word, rest.trim_start_matches(BLANKS))
    })
}

/// Whether a word stands where a key's type may: no option has a hyphenated name that begins so.
fn is_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-", "rsa-"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

fn who(principals: &str, authority: bool) -> Result<Who, LineError> {
    for name in principals.split(',') {
        if name.is_empty() || name == "!" {
            return Err(LineError::NoPrincipal);
        }
        if !is_plain(name) {
            return Err(LineError::NotPlain(name.to_owned()));
        }
        if !authority && is_pattern(name) {
            return Err(LineError::Pattern(name.to_owned()));
        }
    }
    if authority {
        return Ok(Who::Authority {
            principals: principals.to_owned(),
        });
    }
    let mut names = principals.split(',').map(str::to_owned);
    let name = names.next().ok_or(LineError::NoPrincipal)?;
    Ok(Who::Person {
        name,
        others: names.collect(),
    })
}

/// Whether a name can be told from every other by looking at it. Quotes are for options: OpenSSH
/// takes them off the principals.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

/// Reads options up to the blank behind them.
fn options(text: &str) -> Result<(Options, &str), LineError> {
    let mut options = Options::default();
    let mut rest = text;
    loop {
        rest = option(&mut options, rest)?;
        match rest.strip_prefix(',') {
            Some(next) if next.is_empty() || next.starts_with(BLANKS) => {
                return Err(LineError::Comma);
            }
            Some(next) => rest = next,
            None if rest.is_empty() || rest.starts_with(BLANKS) => {
                return Ok((options, rest.trim_start_matches(BLANKS)));
            }
            None => return Err(LineError::Option(until_end(rest).to_owned())),
        }
    }
}

/// What is written up to the next comma or blank, for messages.
fn until_end(text: &str) -> &str {
    text.split([',', ' ', '\t']).next().unwrap_or(text)
}

/// Reads one option; returns what follows it.
fn option<'t>(options: &mut Options, text: &'t str) -> Result<&'t str, LineError> {
    let name = text.split(['=', ',', ' ', '\t']).next().unwrap_or(text);
    let rest = &text[name.len()..];
    match name.to_ascii_lowercase().as_str() {
        "cert-authority" => {
            if options.authority {
                return Err(LineError::Repeated("cert-authority"));
            }
            options.authority = true;
            Ok(rest)
        }
        "namespaces" => value(&mut options.namespaces, "namespaces", rest, Ok),
        "valid-after" => value(&mut options.valid_after, "valid-after", rest, |text| {
            time("valid-after", text)
        }),
        "valid-before" => value(&mut options.valid_before, "valid-before", rest, |text| {
            time("valid-before", text)
        }),
        _ => Err(LineError::Option(name.to_owned())),
    }
}

fn value<'t, T>(
    slot: &mut Option<T>,
    option: &'static str,
    text: &'t str,
    read: impl Fn(String) -> Result<T, LineError>,
) -> Result<&'t str, LineError> {
    if slot.is_some() {
        return Err(LineError::Repeated(option));
    }
    let (value, rest) = text
        .strip_prefix("=\"")
        .and_then(dequoted)
        .ok_or(LineError::Quotes(option))?;
    *slot = Some(read(value)?);
    Ok(rest)
}

/// What stands before the closing quote, `\"` being a quote (`opt_dequote`), and what follows it.
fn dequoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' if letters.next_if(|&(_, next)| next == '"').is_some() => value.push('"'),
            other => value.push(other),
        }
    }
    None
}

/// `YYYYMMDDZ`, `YYYYMMDDHHMMZ` or `YYYYMMDDHHMMSSZ`, in seconds since 1970.
///
/// OpenSSH reads a time without `Z` in the zone of the process that reads it. The same file would
/// mean other times on other hosts, and another one after a change of the host's zone.
fn time(option: &'static str, text: String) -> Result<u64, LineError> {
    let (digits, utc) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, true),
        None => (text.as_str(), false),
    };
    match (seconds(digits), utc) {
        (Some(seconds), true) => Ok(seconds),
        (Some(_), false) => Err(LineError::Zone { option, text }),
        (None, _) => Err(LineError::Time { option, text }),
    }
}

fn seconds(digits: &str) -> Option<u64> {
    let whole = matches!(digits.len(), 8 | 12 | 14);
    if !whole || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| match digits.get(from..to) {
        Some(part) => part.parse::<u64>().ok(),
        None => Some(0), // a time that is not there
    };
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second;
    // 0 is no time to OpenSSH.
    (seconds > 0).then_some(seconds)
}

/// Days from 1970-01-01 to a day that exists.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let length = |month: u64| match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1970 || !(1..=12).contains(&month) || day == 0 || day > length(month) {
        return None;
    }
    let leap_days = |years: u64| years / 4 - years / 100 + years / 400;
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    Some(years + (1..month).map(length).sum::<u64>() + day - 1)
}

/// `type base64 [comment]`.
fn key(text: &str) -> Result<Key, LineError> {
    let (named, rest) = word(text);
    let (encoded, _comment) = word(rest);
    if encoded.is_empty() {
        return Err(LineError::NoKey);
    }
    let blob = base64(encoded).ok_or(LineError::NotBase64)?;
    let found = Wire::new(&blob)
        .text("the key type")
        .map_err(KeyError::from)?;
    if found != named {
        return Err(LineError::OtherType {
            named: named.to_owned(),
            found: found.to_owned(),
        });
    }
    if Certificate::is_one(&blob) {
        return Err(LineError::Key(KeyError::Certificate));
    }
    Ok(Key::from_blob(&blob)?)
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
