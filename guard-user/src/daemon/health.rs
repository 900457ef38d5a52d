//! What does not work, by part.

use std::collections::BTreeMap;

use crate::audit::record;
use crate::control::Problem;

/// Problems by part; none is good health.
#[derive(Debug, Default)]
pub struct Health {
    problems: BTreeMap<&'static str, String>,
}

impl Health {
    /// Sets or clears the problem of a part. Returns what is to be recorded: a part that breaks or
    /// is mended, not the same trouble in other words.
    pub fn set(&mut self, part: &'static str, problem: Option<String>) -> Option<record::Health> {
        let (healthy, detail) = match problem {
            Some(problem) => {
                let before = self.problems.insert(part, problem.clone());
                if before.is_some() {
                    return None;
                }
                (false, problem)
            }
            None => (
                true,
                format!("works again; it was: {}", self.problems.remove(part)?),
            ),
        };
        Some(record::Health {
            part: part.to_owned(),
            healthy,
            detail,
        })
    }

    /// True where a part does not work.
    pub fn is_bad(&self, part: &str) -> bool {
        self.problems.contains_key(part)
    }

    /// All problems.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems
            .iter()
            .map(|(part, detail)| Problem {
                part: (*part).to_owned(),
                detail: detail.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaking_and_mending_are_told_once() {
        let mut health = Health::default();
        assert_eq!(health.set("links", None), None);
        assert!(
            health
                .set("links", Some("gone".into()))
                .is_some_and(|told| !told.healthy)
        );
        assert_eq!(health.set("links", Some("still gone".into())), None);
        assert!(health.is_bad("links"));
        assert_eq!(health.problems()[0].detail, "still gone");
        assert!(health.set("links", None).is_some_and(|told| told.healthy));
        assert!(health.problems().is_empty());
    }
}
