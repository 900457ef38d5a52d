//! What becomes of each operation class: the mode, and the classes that differ from it.

use std::collections::BTreeMap;
use std::fmt;

use guard_abi::{Handling, Mode, Op, Policy};

/// The mode and the classes that are handled otherwise.
///
/// Two of them are equal where every class is handled the same and the mode is the same: a class
/// that is set to what the mode says anyway is no exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modes {
    mode: Mode,
    exceptions: BTreeMap<Op, Handling>,
}

impl Modes {
    /// Puts the two together.
    pub fn new(mode: Mode, ops: &BTreeMap<Op, Handling>) -> Self {
        let differs = |(_, handling): &(&Op, &Handling)| **handling != usual(mode);
        Self {
            mode,
            exceptions: ops
                .iter()
                .filter(differs)
                .map(|(&op, &h)| (op, h))
                .collect(),
        }
    }

    /// What the kernel half follows.
    pub fn of_policy(policy: &Policy) -> Self {
        let all = Op::ALL
            .iter()
            .map(|&op| (op, policy.handling(op)))
            .collect();
        Self::new(policy.mode(), &all)
    }

    /// The same policy with these modes.
    #[must_use]
    pub fn in_policy(&self, policy: Policy) -> Policy {
        // Bits that belong to no class follow the mode, and so does the one that tells it.
        let mut enforced_ops = match self.mode {
            Mode::Observe => 0,
            Mode::Enforce => Policy::ALL_OPS,
        };
        let mut allowed_ops = 0;
        for (op, handling) in &self.exceptions {
            match handling {
                Handling::Refuse => enforced_ops |= op.bit(),
                Handling::Observe => enforced_ops &= !op.bit(),
                Handling::Allow => allowed_ops |= op.bit(),
            }
        }
        Policy {
            enforced_ops,
            allowed_ops,
            ..policy
        }
    }

    /// The mode.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What becomes of one class.
    pub fn handling(&self, op: Op) -> Handling {
        self.exceptions
            .get(&op)
            .copied()
            .unwrap_or(usual(self.mode))
    }

    /// Every class with its handling, in words.
    pub fn all(&self) -> BTreeMap<String, String> {
        words(Op::ALL.iter().map(|&op| (op, self.handling(op))))
    }

    /// The classes that differ from the mode, in words.
    pub fn exceptions(&self) -> BTreeMap<String, String> {
        words(
            self.exceptions
                .iter()
                .map(|(&op, &handling)| (op, handling)),
        )
    }

    /// A half sentence for whoever was told that an operation would be refused, where it would
    /// not: `(remap is observed: it would be recorded, not refused)`.
    pub fn instead_of_refusing(&self, op: Op) -> Option<String> {
        let word = op.as_str();
        match self.handling(op) {
            Handling::Refuse => None,
            Handling::Observe if self.exceptions.contains_key(&op) => Some(format!(
                "{word} is observed here: it would be recorded, not refused"
            )),
            Handling::Observe => Some("mode observe: it would be recorded, not refused".to_owned()),
            Handling::Allow => Some(format!(
                "{word} is allowed by the configuration: it would be recorded, not refused"
            )),
        }
    }
}

/// What becomes of a class that nothing is said about.
const fn usual(mode: Mode) -> Handling {
    match mode {
        Mode::Observe => Handling::Observe,
        Mode::Enforce => Handling::Refuse,
    }
}

fn words(pairs: impl Iterator<Item = (Op, Handling)>) -> BTreeMap<String, String> {
    pairs
        .map(|(op, handling)| (op.as_str().to_owned(), handling.as_str().to_owned()))
        .collect()
}

/// `enforce`, or `enforce, except kexec observe, reset allow`.
impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(self.mode.as_str(), &self.exceptions()))
    }
}

/// A mode and its exceptions, both in words, as people read them.
pub fn describe(mode: &str, exceptions: &BTreeMap<String, String>) -> String {
    if exceptions.is_empty() {
        return mode.to_owned();
    }
    let list: Vec<String> = exceptions
        .iter()
        .map(|(op, handling)| format!("{op} {handling}"))
        .collect();
    format!("{mode}, except {}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(mode: Mode, ops: &[(Op, Handling)]) -> Modes {
        Modes::new(mode, &ops.iter().copied().collect())
    }

    /// Whatever is configured, the kernel half's words say the same, for each class.
    #[test]
    fn the_words_of_the_policy_say_the_same() {
        for mode in Mode::ALL.iter().copied() {
            for first in Handling::ALL.iter().copied() {
                for second in Handling::ALL.iter().copied() {
                    for pair in Op::ALL.windows(2) {
                        let (one, other) = (pair[0], pair[1]);
                        let modes = modes(mode, &[(one, first), (other, second)]);
                        let policy = modes.in_policy(Policy {
                            dm_major: 253,
                            ..Policy::STRICTEST
                        });
                        assert_eq!(Modes::of_policy(&policy), modes);
                        assert_eq!((policy.dm_major, policy.mode()), (253, mode));
                        for op in Op::ALL.iter().copied() {
                            assert_eq!(policy.handling(op), modes.handling(op), "{modes} {op:?}");
                        }
                        assert_eq!(
                            (modes.handling(one), modes.handling(other)),
                            (first, second)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn only_what_differs_is_an_exception() {
        let same = modes(Mode::Enforce, &[(Op::Kexec, Handling::Refuse)]);
        assert_eq!(same, modes(Mode::Enforce, &[]));
        assert_eq!(same.to_string(), "enforce");
        let two = modes(
            Mode::Enforce,
            &[(Op::Reset, Handling::Allow), (Op::Kexec, Handling::Observe)],
        );
        assert_eq!(
            two.to_string(),
            "enforce, except kexec observe, reset allow"
        );
        assert_eq!(two.exceptions().len(), 2);
        assert_eq!(two.all().len(), Op::ALL.len());
        assert_eq!(two.all()["raw-write"], "refuse");
    }

    #[test]
    fn what_happens_instead_has_words() {
        let modes = modes(
            Mode::Enforce,
            &[(Op::Reset, Handling::Allow), (Op::Kexec, Handling::Observe)],
        );
        assert_eq!(modes.instead_of_refusing(Op::RawWrite), None);
        let said = |op| modes.instead_of_refusing(op).expect("not refused");
        assert!(said(Op::Kexec).starts_with("kexec is observed"));
        assert!(said(Op::Reset).starts_with("reset is allowed"));
        let observe = Modes::new(Mode::Observe, &BTreeMap::new());
        assert!(
            observe
                .instead_of_refusing(Op::RawWrite)
                .is_some_and(|text| text.starts_with("mode observe"))
        );
    }
}
