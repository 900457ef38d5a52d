//! What the demonstration has proved. Every line is computed from the guests' reports.

use std::fmt;

use serde_json::Value;

use super::facts::Facts;

/// The longest pause between two answers that still counts as "all along", in ms. The client asks
/// every 500 ms; an emulated guest is ten times slower than a machine, and two share it here.
const PAUSE_MS: u64 = 10_000;

/// One claim.
pub struct Proof {
    /// It is true.
    pub holds: bool,
    /// What is claimed, with the numbers that were measured.
    text: String,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {} {}",
            if self.holds { "yes" } else { "NO " },
            self.text
        )
    }
}

fn proof(holds: bool, text: impl Into<String>) -> Proof {
    Proof {
        holds,
        text: text.into(),
    }
}

/// Judges both acts.
pub fn of(before: &Facts, after: &Facts) -> Vec<Proof> {
    vec![
        same_script(before, after),
        unguarded_ran(before),
        unguarded_lost(before),
        guard_was_up(after),
        refused(after),
        answered(after),
        checksum(after),
        bytes(after),
        explained(after),
        stayed_up(after),
        glass(after),
    ]
}

/// True where a fact was reported twice with the same, non-empty value.
fn same(a: &str, b: &str) -> bool {
    !a.is_empty() && a == b
}

fn same_script(before: &Facts, after: &Facts) -> Proof {
    let (one, two) = (before.get("script"), after.get("script"));
    let clean = before.muddled.is_empty() && after.muddled.is_empty();
    let tools = |facts: &Facts| {
        facts
            .steps
            .iter()
            .filter_map(|(command, _)| command.split(' ').next().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    proof(
        same(one, two)
            && clean
            && before.get("backup_made") == "0"
            && after.get("backup_made") == "0"
            && !before.steps.is_empty()
            && tools(before) == tools(after),
        format!(
            "both machines ran the same script, {} steps each (sha256 {one}…)",
            after.steps.len()
        ),
    )
}

fn unguarded_ran(before: &Facts) -> Proof {
    let done = before
        .steps
        .iter()
        .filter(|(_, status)| *status == 0)
        .count();
    proof(
        done > 0 && done == before.steps.len() && before.get("upgrade_status") == "0",
        format!(
            "without dbguard: {done} of {} steps done",
            before.steps.len()
        ),
    )
}

fn unguarded_lost(before: &Facts) -> Proof {
    let changed = !before.get("disk_before").is_empty()
        && !before.get("disk_after").is_empty()
        && before.get("disk_before") != before.get("disk_after");
    let failed = |name: &str| before.number(name).is_some_and(|status| status != 0);
    proof(
        changed
            && !before.get("checksum_before").is_empty()
            && failed("mount_status")
            && failed("start_status")
            && failed("select_status"),
        "without dbguard: the data is gone, the backup disk too (partition table and superblocks \
         overwritten, the file system does not mount, the server does not start, SELECT fails)",
    )
}

fn guard_was_up(after: &Facts) -> Proof {
    let word = |name: &str| {
        after
            .status
            .as_ref()
            .and_then(|status| status[name].as_str())
            .unwrap_or("?")
            .to_owned()
    };
    let (state, mode) = (word("state"), word("mode"));
    let check = after.get("check_status");
    proof(
        state == "armed"
            && after.get("mark_status") == "0"
            && mode == "enforce"
            && after.get("status_before") == "0"
            && check == "2",
        format!(
            "with dbguard: host {state}, mode {mode}; `dbguard check` told automation so beforehand \
             (exit {check})"
        ),
    )
}

/// True where the record is a refusal of something that this very command line did.
fn is_refusal_of(record: &Value, command: &str, since: u64) -> bool {
    let words: Vec<&str> = record["process"]["argv"]
        .as_array()
        .map(|argv| argv.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let line = words.join(" ");
    let done = if record["process"]["argv_truncated"] == true {
        !line.is_empty() && command.starts_with(&line)
    } else {
        line == command
    };
    record["decision"] == "deny"
        && record["seq"].as_u64().is_some_and(|seq| seq > since)
        && record["event"]
            .as_str()
            .is_some_and(|id| id.starts_with("E-"))
        && done
}

fn refused(after: &Facts) -> Proof {
    let since = after.number("seq_before").unwrap_or(u64::MAX);
    let refusals = |command: &str| -> u64 {
        after
            .audit
            .iter()
            .filter(|record| is_refusal_of(record, command, since))
            .filter_map(|record| record["count"].as_u64())
            .sum()
    };
    let mut all = 0;
    let mut missing = String::new();
    for (command, _) in &after.steps {
        let count = refusals(command);
        all += count;
        if count == 0 {
            missing.push_str("; NOT: ");
            missing.push_str(command);
        }
    }
    proof(
        missing.is_empty() && !after.steps.is_empty(),
        format!(
            "with dbguard: {} of {} steps refused, each with its own records in the audit log \
             ({all} refusals{missing})",
            after
                .steps
                .iter()
                .filter(|(command, _)| refusals(command) > 0)
                .count(),
            after.steps.len(),
        ),
    )
}

fn answered(after: &Facts) -> Proof {
    let asked = after.number("asked").unwrap_or(0);
    let right = after.answers.first().map_or(0, |first| {
        after
            .answers
            .iter()
            .filter(|answer| answer.text == first.text)
            .count()
    });
    let longest = after
        .answers
        .windows(2)
        .map(|pair| pair[1].at.saturating_sub(pair[0].at))
        .max();
    let longest = longest.unwrap_or(u64::MAX) / 1_000_000;
    let spans = match (after.answers.first(), after.answers.last()) {
        (Some(first), Some(last)) => {
            after
                .number("upgrade_from")
                .is_some_and(|from| first.at <= from)
                && after
                    .number("upgrade_until")
                    .is_some_and(|until| last.at >= until)
        }
        _ => false,
    };
    proof(
        right > 1 && right as u64 == asked && spans && longest <= PAUSE_MS,
        format!(
            "with dbguard: the database gave {right} right answers to {asked} questions while the \
             script ran, longest pause {longest} ms"
        ),
    )
}

fn checksum(after: &Facts) -> Proof {
    let (before, now) = (after.get("checksum_before"), after.get("checksum_after"));
    proof(
        same(before, now),
        format!("with dbguard: CHECKSUM TABLE {before} before, {now} after"),
    )
}

fn bytes(after: &Facts) -> Proof {
    let (before, now) = (after.get("disk_before"), after.get("disk_after"));
    proof(
        same(before, now),
        format!(
            "with dbguard: partition tables and superblocks unchanged (sha256 {before}…, {now}…)"
        ),
    )
}

fn explained(after: &Facts) -> Proof {
    proof(
        after.get("why_status") == "0" && after.get("status_after") == "0",
        "with dbguard: `dbguard why` explained the refusal, `dbguard status` is healthy afterwards",
    )
}

fn stayed_up(after: &Facts) -> Proof {
    let status = after.get("upgrade_status");
    proof(
        status == "1" && after.number("uptime").is_some(),
        format!("with dbguard: the script gave up before its restart (exit {status})"),
    )
}

/// Breaking the glass opened what was signed, for one command, and nothing beside it.
fn glass(after: &Facts) -> Proof {
    let [before, opened, again] =
        ["backup_before", "backup_after", "backup_again"].map(|name| after.get(name));
    let beside = after
        .number("both_status")
        .is_some_and(|status| status != 0);
    proof(
        !before.is_empty()
            && !opened.is_empty()
            && before != opened
            && opened == again
            && beside
            && after.get("again_status") == "77"
            && same(after.get("data_before"), after.get("data_after"))
            && same(after.get("checksum_before"), after.get("checksum_glass")),
        "with dbguard: the override that somebody signed opened the backup disk for one command; the \
         data disk stayed closed to that command, and the backup disk to the next",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(lines: &[&str]) -> Facts {
        let mut facts = Facts::default();
        for line in lines {
            assert!(facts.take(line), "{line}");
        }
        facts
    }

    const BEFORE: &[&str] = &[
        "@fact script=ab",
        "@fact backup_made=0",
        "@step 0 wipefs -a /dev/x",
        "@step 0 dd of=/dev/x",
        "@fact upgrade_status=0",
        "@fact checksum_before=1",
        "@fact disk_before=x",
        "@fact disk_after=y",
        "@fact mount_status=32",
        "@fact start_status=1",
        "@fact select_status=1",
    ];

    const AFTER: &[&str] = &[
        "@fact script=ab",
        "@fact backup_made=0",
        "@step 1 wipefs -a /dev/x",
        "@step 1 dd of=/dev/x",
        "@fact upgrade_status=1",
        "@fact checksum_before=1",
        "@fact checksum_after=1",
        "@fact disk_before=x",
        "@fact disk_after=x",
        "@status {\"state\":\"armed\",\"mode\":\"enforce\"}",
        "@fact mark_status=0",
        "@fact status_before=0",
        "@fact check_status=2",
        "@fact seq_before=4",
        "@fact asked=3",
        "@answer 1000000000 20000 5",
        "@answer 2000000000 20000 5",
        "@answer 3000000000 20000 5",
        "@fact upgrade_from=1500000000",
        "@fact upgrade_until=2500000000",
        "@audit {\"seq\":5,\"event\":\"E-AAAA\",\"decision\":\"deny\",\"count\":2,\
         \"process\":{\"argv\":[\"wipefs\",\"-a\",\"/dev/x\"],\"comm\":\"wipefs\"}}",
        "@audit {\"seq\":6,\"event\":\"E-AAAB\",\"decision\":\"deny\",\"count\":1,\
         \"process\":{\"argv\":[\"dd\",\"of=/dev/x\"],\"comm\":\"dd\"}}",
        "@fact why_status=0",
        "@fact data_before=d",
        "@fact backup_before=m",
        "@fact both_status=1",
        "@fact backup_after=n",
        "@fact again_status=77",
        "@fact backup_again=n",
        "@fact data_after=d",
        "@fact checksum_glass=1",
        "@fact status_after=0",
        "@fact uptime=60",
    ];

    fn failing(before: &Facts, after: &Facts) -> Vec<String> {
        of(before, after)
            .iter()
            .filter(|proof| !proof.holds)
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_good_run_holds() {
        assert_eq!(failing(&facts(BEFORE), &facts(AFTER)), Vec::<String>::new());
    }

    #[test]
    fn every_report_matters() {
        let (before, after) = (facts(BEFORE), facts(AFTER));
        for (at, left_out) in BEFORE.iter().enumerate() {
            let mut lines = BEFORE.to_vec();
            lines.remove(at);
            assert!(
                !failing(&facts(&lines), &after).is_empty(),
                "without {left_out}"
            );
        }
        for (at, left_out) in AFTER.iter().enumerate() {
            // An answer less than questions, a record less than steps: each must be missed.
            let mut lines = AFTER.to_vec();
            lines.remove(at);
            assert!(
                !failing(&before, &facts(&lines)).is_empty(),
                "without {left_out}"
            );
        }
    }

    #[test]
    fn damage_and_silence_are_seen() {
        for (from, to) in [
            ("@fact checksum_after=1", "@fact checksum_after=2"),
            ("@fact disk_after=x", "@fact disk_after=y"),
            ("@answer 2000000000 20000 5", "@answer 2000000000 19999 5"),
            ("@answer 3000000000 20000 5", "@answer 19000000000 20000 5"),
            ("@step 1 dd of=/dev/x", "@step 1 dd of=/dev/y"),
            ("@fact check_status=2", "@fact check_status=0"),
            ("@fact backup_after=n", "@fact backup_after=m"),
            ("@fact backup_again=n", "@fact backup_again=o"),
            ("@fact data_after=d", "@fact data_after=e"),
            ("@fact both_status=1", "@fact both_status=0"),
            ("@fact again_status=77", "@fact again_status=0"),
        ] {
            let lines: Vec<_> = AFTER
                .iter()
                .map(|line| if *line == from { to } else { line })
                .collect();
            assert_eq!(failing(&facts(BEFORE), &facts(&lines)).len(), 1, "{to}");
        }
    }
}
