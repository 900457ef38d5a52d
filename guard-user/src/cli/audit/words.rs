//! Records in words: one place, so that every reader says the same.

use super::super::text;
use crate::audit::names::printable;
use crate::audit::record::{
    Body, Change, CriticalProcess, Denial, Descriptor, Mark, ModeChange, Override, Record, Release,
    Start,
};
use crate::config::describe;

/// A line of the log for a person, or as it is.
pub fn render(line: &str, json: bool) -> String {
    if json {
        return format!("{line}\n");
    }
    match serde_json::from_str::<Record>(line) {
        Ok(record) => format!("{}\n", sentence(&record)),
        Err(_) => format!("(not a record this version knows) {}\n", printable(line)),
    }
}

/// One record on one line.
pub fn sentence(record: &Record) -> String {
    let (label, text) = said(record);
    format!(
        "{}  {label:<9}  {}",
        seconds(&record.time),
        printable(&text)
    )
}

/// A time to the second: the rest is in the JSON.
pub fn seconds(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

/// What a record says, without its time: a word for its kind, and the rest. Not yet safe for a
/// terminal.
pub fn said(record: &Record) -> (&'static str, String) {
    match &record.body {
        Body::Denial(denial) => ("denial", refusal(record, denial)),
        Body::State(change) => ("state", changed(change)),
        Body::Mode(change) => ("mode", mode_changed(change)),
        Body::Start(start) => ("start", started(start)),
        Body::Stop(stop) => ("stop", stop.why.clone()),
        Body::Process(process) => ("process", server(process)),
        Body::Release(release) => ("release", released(release)),
        Body::Mark(mark) => {
            let Mark { by, what, object } = mark;
            ("mark", format!("{what} {object}, by {}", by.login))
        }
        Body::Health(health) => {
            let word = if health.healthy { "mended" } else { "broken" };
            (
                "health",
                format!("{} {word}: {}", health.part, health.detail),
            )
        }
        Body::Gap(gap) => ("gap", format!("{} {}: {}", gap.lost, gap.what, gap.detail)),
        Body::Recovered(torn) => (
            "recovered",
            format!("a torn line of {} bytes was taken back", torn.torn_bytes),
        ),
        Body::Descriptor(descriptor) => {
            let Descriptor { change, held } = descriptor;
            ("open", format!("{change}: {held}"))
        }
        Body::Config(config) => {
            let word = if config.accepted {
                "read again"
            } else {
                "not accepted"
            };
            ("config", format!("{word}: {}", config.detail))
        }
        Body::Unload(unload) => {
            let text = match &unload.refused {
                None => "the kernel half was taken out: this host is not guarded".to_owned(),
                Some(why) => format!("refused: {why}"),
            };
            ("unload", format!("{text}, by {}", unload.by.login))
        }
        Body::Override(step) => ("override", overridden(step)),
    }
}

fn changed(change: &Change) -> String {
    format!("{} -> {}: {}", change.from, change.to, change.why)
}

fn mode_changed(change: &ModeChange) -> String {
    let from = describe(&change.from, &change.from_ops);
    let to = describe(&change.to, &change.to_ops);
    format!("{from} -> {to}: {}", change.why)
}

fn started(start: &Start) -> String {
    let how = if start.adopted {
        "took over what was loaded"
    } else {
        "loaded the kernel half"
    };
    format!("dbguard {} on {}, {how}", start.version, start.kernel)
}

fn server(process: &CriticalProcess) -> String {
    let CriticalProcess {
        change,
        pid,
        engine,
        comm,
        data,
        ..
    } = process;
    let mut text = format!("{comm} {pid} {change} ({engine})");
    if !data.is_empty() {
        text.push_str(", ");
        text.push_str(&data.join(", "));
    }
    text
}

fn released(release: &Release) -> String {
    let Release {
        by,
        device,
        refused,
        ..
    } = release;
    let what = device.as_deref().unwrap_or("the host");
    let user = by.user.as_deref().unwrap_or("?");
    let mut text = format!("{what}, by {user} ({})", by.login);
    if let Some(why) = refused {
        text.push_str(", refused: ");
        text.push_str(why);
    }
    text
}

fn overridden(step: &Override) -> String {
    let none = || "-".to_owned();
    let mut text = step.step.clone();
    if let Some(grant) = &step.grant {
        text = format!("{grant} {text}");
    }
    if !step.argv.is_empty() {
        text = format!("{text}: {}", text::command_line(&step.argv));
    }
    if let Some(object) = &step.object {
        let opens = if step.opens.is_empty() {
            "nothing".to_owned()
        } else {
            step.opens.join(" ")
        };
        text = format!("{text} ({opens} on {object})");
    }
    if let Some(why) = &step.why {
        text = format!("{text}: {why}");
    }
    let people: Vec<&str> = step.signers.iter().map(|one| one.person.as_str()).collect();
    if !people.is_empty() {
        text = format!("{text}, signed by {}", people.join(", "));
    }
    if step.signers.iter().any(|one| one.emergency) {
        text = format!("{text} (EMERGENCY KEY)");
    }
    let incident = step.incident.clone().unwrap_or_else(none);
    let by = step.by.as_ref().map_or_else(none, |by| by.login.clone());
    text = format!("{text}, {incident}, by {by}");
    match &step.refused {
        Some(refused) => format!("{text}, REFUSED ({}): {}", refused.code, refused.why),
        None => text,
    }
}

fn refusal(record: &Record, denial: &Denial) -> String {
    let word = match denial.decision.as_str() {
        "deny" => "refused",
        "would-deny" => "observed",
        "allowed" => "allowed",
        "granted" => "granted",
        _ => "noted",
    };
    let times = if denial.count > 1 {
        format!(" x{}", denial.count)
    } else {
        String::new()
    };
    let process = &denial.process;
    let command = if process.argv.is_empty() {
        process.comm.clone()
    } else {
        text::command_line(&process.argv)
    };
    format!(
        "{} {word} {} to {}{times}: {command} (pid {}, {})",
        record.event.as_deref().unwrap_or("-"),
        denial.op,
        denial.object.name,
        process.pid,
        process.login,
    )
}
