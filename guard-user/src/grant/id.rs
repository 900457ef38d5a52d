//! How a grant is named where people read it and type it: `G-19`.

/// The name of a grant.
pub fn grant_id(number: u32) -> String {
    format!("G-{number}")
}

/// The number in a name, which people may type as `g-19` or `19`; `None` where it is none.
pub fn grant_number(text: &str) -> Option<u32> {
    let digits = text
        .strip_prefix("G-")
        .or_else(|| text.strip_prefix("g-"))
        .unwrap_or(text);
    digits.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_named_as_they_are_shown() {
        assert_eq!(grant_number(&grant_id(19)), Some(19));
        for text in ["G-19", "g-19", "19"] {
            assert_eq!(grant_number(text), Some(19), "{text}");
        }
        for text in ["", "G-", "G-0", "E-19", "-19", "G-x"] {
            assert_eq!(grant_number(text), None, "{text}");
        }
    }
}
