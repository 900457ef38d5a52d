//! Event ids that a person can type: `E-7K2Q`.
//!
//! An id is the record's sequence number in Crockford's base 32 (no I, L, O or U). The first 2^20
//! numbers are shuffled by an affine map before they are spelled, so that the ids of neighbouring
//! events differ in several letters and a typing error finds nothing rather than another event.
//! The map is a bijection: no two records share an id, and every id leads back to one number.

use thiserror::Error;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters of the shortest id.
const SHORTEST: u32 = 4;
/// Numbers below this have ids of [`SHORTEST`] letters.
const SHUFFLED: u64 = 1 << (5 * SHORTEST);
/// Odd, so invertible modulo 2^20; near the golden ratio of the range, so that neighbours scatter.
const FACTOR: u64 = 648_055;
/// Inverse of [`FACTOR`] modulo [`SHUFFLED`].
const INVERSE: u64 = inverse(FACTOR);
const OFFSET: u64 = 252_118;

/// Inverse of an odd number modulo 2^20, by Newton's iteration: each step doubles the right bits.
const fn inverse(odd: u64) -> u64 {
    let mut guess = odd;
    let mut step = 0;
    while step < 5 {
        guess = guess.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(guess)));
        step += 1;
    }
    guess % SHUFFLED
}

/// Why a text is not an event id.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// Fewer than four letters after the `E-`.
    #[error("'{0}' is too short for an event id; they look like E-7K2Q")]
    Short(String),
    /// A character that no id has.
    #[error("'{text}' is not an event id: it has no '{letter}' in it; ids look like E-7K2Q")]
    Letter {
        /// What was given.
        text: String,
        /// The character that is wrong.
        letter: char,
    },
    /// More letters than any record's number needs.
    #[error("'{0}' is too long for an event id; they look like E-7K2Q")]
    Long(String),
    /// A longer id never begins with a zero.
    #[error("'{0}' is not an event id: ids of more than four letters do not begin with 0")]
    LeadingZero(String),
}

/// The id of the record with this sequence number.
pub fn encode(seq: u64) -> String {
    let mut rest = if seq < SHUFFLED {
        (seq * FACTOR + OFFSET) % SHUFFLED
    } else {
        seq
    };
    let mut letters = Vec::with_capacity(13);
    while rest > 0 || letters.len() < SHORTEST as usize {
        letters.push(char::from(ALPHABET[(rest % 32) as usize]));
        rest /= 32;
    }
    letters.push('-');
    letters.push('E');
    letters.iter().rev().collect()
}

/// The sequence number behind an id. The case of letters does not matter, `E-` may be left out,
/// and the letters that Crockford's alphabet leaves out because they look alike are read as what
/// they look like (I and L as 1, O as 0).
pub fn decode(text: &str) -> Result<u64, ParseError> {
    let trimmed = text.trim();
    let letters = match trimmed.as_bytes() {
        [b'E' | b'e', b'-', ..] => &trimmed[2..],
        _ => trimmed,
    };
    if letters.chars().count() < SHORTEST as usize {
        return Err(ParseError::Short(text.to_owned()));
    }
    let mut number: u64 = 0;
    for letter in letters.chars() {
        let digit = digit(letter).ok_or_else(|| ParseError::Letter {
            text: text.to_owned(),
            letter,
        })?;
        number = number
            .checked_mul(32)
            .map(|shifted| shifted | digit)
            .ok_or_else(|| ParseError::Long(text.to_owned()))?;
    }
    if letters.len() == SHORTEST as usize {
        return Ok((number + SHUFFLED - OFFSET) % SHUFFLED * INVERSE % SHUFFLED);
    }
    if number < SHUFFLED || letters.starts_with(['0', 'o', 'O']) {
        return Err(ParseError::LeadingZero(text.to_owned()));
    }
    Ok(number)
}

fn digit(letter: char) -> Option<u64> {
    let plain = match letter.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    ALPHABET
        .iter()
        .position(|&known| char::from(known) == plain)
        .map(|at| at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_look_different() {
        assert_eq!(encode(0).len(), "E-7K2Q".len());
        let (one, two) = (encode(1), encode(2));
        let same = one.bytes().zip(two.bytes()).filter(|(a, b)| a == b).count();
        assert!(
            same <= 3,
            "{one} and {two} share {same} of six characters, 'E-' among them"
        );
    }

    #[test]
    fn look_alikes_are_read_as_digits() {
        let id = (0..100_000)
            .map(encode)
            .find(|id| id.contains('1') && id[2..].contains('0'));
        let id = id.expect("some id has both");
        let typed = id[2..].replace('1', "l").replace('0', "o").to_lowercase();
        assert_eq!(decode(&typed), decode(&id));
    }

    #[test]
    fn not_ids() {
        assert_eq!(decode(""), Err(ParseError::Short(String::new())));
        assert!(matches!(
            decode("E-7U2Q"),
            Err(ParseError::Letter { letter: 'U', .. })
        ));
        assert!(matches!(decode("E-00001"), Err(ParseError::LeadingZero(_))));
        assert!(matches!(
            decode("ZZZZZZZZZZZZZZZZ"),
            Err(ParseError::Long(_))
        ));
        assert!(matches!(decode("E-é"), Err(ParseError::Short(_))));
        assert!(matches!(decode("ÉÉÉÉ"), Err(ParseError::Letter { .. })));
    }

    proptest! {
        #[test]
        fn every_number_has_one_id(seq: u64) {
            prop_assert_eq!(decode(&encode(seq)), Ok(seq));
        }

        #[test]
        fn small_numbers_too(seq in 0..SHUFFLED * 2) {
            prop_assert_eq!(decode(&encode(seq)), Ok(seq));
        }

        #[test]
        fn every_readable_id_has_one_number(text in "[0-9A-HJKMNP-TV-Z]{4,9}") {
            if let Ok(seq) = decode(&text) {
                prop_assert_eq!(encode(seq), format!("E-{text}"));
            }
        }

        #[test]
        fn never_panics(text: String) {
            let _ = decode(&text);
        }
    }
}
