//! OpenSSH's patterns (match.c, PATTERNS in ssh_config(5)): `*` for any letters, `?` for one, lists
//! with commas, `!` before what must not match.

/// The longest pattern of a list; OpenSSH lets a list with a longer one match nothing.
const LONGEST: usize = 1022;

/// Whether the whole text fits one pattern (`match_pattern`).
pub fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut at, mut next) = (0, 0);
    // Where to go on from if what follows the last star does not fit: one letter more for the star.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(next) {
            Some(b'*') => {
                star = Some((at, next));
                next += 1;
            }
            Some(&letter) if letter == b'?' || letter == text[at] => {
                at += 1;
                next += 1;
            }
            _ => match star {
                Some((taken, from)) => {
                    star = Some((taken + 1, from));
                    at = taken + 1;
                    next = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[next..].iter().all(|&letter| letter == b'*')
}

/// Whether the text fits a list: at least one of its patterns, and none of those after a `!`
/// (`match_pattern_list` returning 1).
pub fn list_matches(text: &str, list: &str) -> bool {
    let mut found = false;
    for part in list.split(',') {
        let (negated, pattern) = match part.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, part),
        };
        if pattern.len() > LONGEST {
            return false;
        }
        if matches(text, pattern) {
            if negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// Whether this is more than a literal name.
pub fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?']) || part.starts_with('!')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_openssh_matches() {
        for (text, pattern, fits) in [
            ("", "", true),
            ("", "*", true),
            ("", "?", false),
            ("a", "", false),
            ("alice", "alice", true),
            ("alice", "Alice", false),
            ("alice", "a*e", true),
            ("alice", "a*", true),
            ("alice", "*lic?", true),
            ("alice", "a?e", false),
            ("alice@x.org", "*@x.org", true),
            ("alice@x.org.y", "*@x.org", false),
            ("aab", "*ab", true),
            ("abab", "*ab*b", true),
            ("aaaa", "a**a", true),
        ] {
            assert_eq!(matches(text, pattern), fits, "{text} {pattern}");
        }
        for (text, list, fits) in [
            ("alice", "bob,alice", true),
            ("alice", "*,!alice", false),
            ("alice", "!alice,*", false),
            ("bob", "!alice,*", true),
            ("bob", "!alice", false),
            ("bob", "", false),
            ("", "bob,", true),
        ] {
            assert_eq!(list_matches(text, list), fits, "{text} {list}");
        }
        let long = "*".repeat(LONGEST + 1);
        assert!(list_matches("bob", &long[1..]));
        assert!(!list_matches("bob", &long));
        assert!(!list_matches("bob", &format!("bob,{long}")));
    }

    /// The definition, as match.c has it.
    fn slowly(text: &[u8], pattern: &[u8]) -> bool {
        match (text, pattern) {
            ([], []) => true,
            (_, [b'*', rest @ ..]) => (0..=text.len()).any(|taken| slowly(&text[taken..], rest)),
            ([_, text @ ..], [b'?', rest @ ..]) => slowly(text, rest),
            ([a, text @ ..], [b, rest @ ..]) => a == b && slowly(text, rest),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn as_defined(text in "[ab]{0,9}", pattern in "[ab*?]{0,7}") {
            prop_assert_eq!(matches(&text, &pattern), slowly(text.as_bytes(), pattern.as_bytes()));
        }
    }
}
