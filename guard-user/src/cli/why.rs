use std::io::ErrorKind;

use super::exit::{Exit, Failure};
use super::{Output, text};
use crate::audit::names::{printable, sentence};
use crate::audit::record::{Body, Denial, Descriptor, Record};
use crate::audit::{event_id, log_path, tail, time};
use crate::session::{self, Session};

/// Explain a refusal: what, why, and what to do next
///
/// Without EVENT, the last refusal of your own login session or terminal; where there is none,
/// the last one on this host. Reads the log, so it works without the controller.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Event id, such as E-7K2Q
    event: Option<String>,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let (record, note) = match &args.event {
        Some(id) => (by_id(id)?, ""),
        None => last()?,
    };
    if let Body::Descriptor(descriptor) = &record.body {
        return Ok(Output::ok(explain_descriptor(&record, descriptor)));
    }
    let Body::Denial(denial) = &record.body else {
        return Err(Failure::new(
            Exit::NO_INPUT,
            "that record is not about a refusal",
        ));
    };
    Ok(Output::ok(format!("{note}{}", explain(&record, denial))))
}

/// The refusal with this id, and the id as it is written.
pub(super) fn refusal(id: &str) -> Result<(String, Denial), Failure> {
    let record = by_id(id)?;
    let event = record.event.clone().unwrap_or_default();
    match record.body {
        Body::Denial(denial) if is_refusal(&denial) => Ok((event, *denial)),
        _ => Err(Failure::new(
            Exit::NO_INPUT,
            format!("{event} is no refusal; the last ones: dbguard audit tail"),
        )),
    }
}

fn by_id(id: &str) -> Result<Record, Failure> {
    let seq = event_id::decode(id).map_err(|error| Failure::new(Exit::USAGE, error.to_string()))?;
    let id = event_id::encode(seq);
    find(|record| record.event.as_deref() == Some(&id))?.ok_or_else(|| {
        Failure::new(
            Exit::NO_INPUT,
            format!(
                "no event {id} in {}; was it on another host? the last ones: dbguard audit tail",
                log_path().display()
            ),
        )
    })
}

const NOT_YOURS: &str = "Nothing was refused in your session. The last refusal on this host:\n\n";

/// The last refusal of the caller's session or terminal, otherwise of the host.
fn last() -> Result<(Record, &'static str), Failure> {
    let me = session::of_this_process();
    let mine = find(|record| match &record.body {
        Body::Denial(denial) => is_refusal(denial) && me.is_of(record, denial),
        _ => false,
    })?;
    if let Some(record) = mine {
        return Ok((record, ""));
    }
    let any = find(|record| matches!(&record.body, Body::Denial(denial) if is_refusal(denial)))?;
    let note = if me == Session::default() {
        ""
    } else {
        NOT_YOURS
    };
    any.map(|record| (record, note)).ok_or_else(|| {
        Failure::new(
            Exit::NO_INPUT,
            format!(
                "nothing was refused on this host, says {}",
                log_path().display()
            ),
        )
    })
}

fn is_refusal(denial: &Denial) -> bool {
    matches!(denial.decision.as_str(), "deny" | "would-deny")
}

fn find(wanted: impl FnMut(&Record) -> bool) -> Result<Option<Record>, Failure> {
    let path = log_path();
    match tail::find_last(path, wanted) {
        Ok(record) => Ok(record),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Failure::new(
            Exit::NOT_PERMITTED,
            format!("{}: {error}; run this as root", path.display()),
        )),
        Err(error) => Err(Failure::new(
            Exit::INTERNAL,
            format!("reading {}: {error}", path.display()),
        )),
    }
}

fn explain(record: &Record, denial: &Denial) -> String {
    let then = time::wall_of_boot(record.boot_ns);
    let same_boot = session::boot_id() == record.boot_id;
    let ago = if same_boot {
        format!(
            ", {}",
            text::ago(time::wall_ns().saturating_sub(then) / time::NANOS)
        )
    } else {
        ", before this boot".to_owned()
    };
    let id = record.event.as_deref().unwrap_or("-");
    let mut rows: Vec<(&str, String)> = vec![("what", what(record, denial))];
    rows.push(("who", who(denial)));
    rows.push(("why", why(denial)));
    rows.push(("", background(record, denial)));
    for (at, step) in next_steps(record, denial).into_iter().enumerate() {
        rows.push((if at == 0 { "now" } else { "" }, step));
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(label, text)| vec![label.to_owned(), text])
        .collect();
    format!(
        "{id}  {}{ago}\n\n{}",
        record.time,
        text::columns(&rows, "  ")
    )
}

/// A device that is held open from before: nothing was refused yet.
fn explain_descriptor(record: &Record, descriptor: &Descriptor) -> String {
    let held = &descriptor.held;
    let device = held.device.as_deref().unwrap_or("a device");
    let next = match (descriptor.change.as_str(), held.closed) {
        ("gone", _) => "It is gone. There is nothing to do.",
        (_, true) => {
            "Every write through it is refused. End the process when it suits you; then reads and writes on this host cost nothing again."
        }
        ("stopped", _) => {
            "Stores to a mapping cannot be refused one by one, so the process was stopped. End it: kill -KILL PID. It must go on? Set mappings = \"report\" in /etc/dbguard/dbguard.toml, systemctl reload dbguard, kill -CONT PID."
        }
        _ => "It can still write. End the process: kill -KILL PID.",
    };
    let rows = [
        ("what", printable(&held.to_string())),
        ("who", text::command_line(&held.argv)),
        (
            "why",
            format!(
                "{} was opened for writing before that would have been refused; it was seen first at {}",
                printable(device),
                held.since
            ),
        ),
        ("now", next.replace("PID", &held.pid.to_string())),
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(label, text)| vec![label.to_owned(), text])
        .collect();
    let id = record.event.as_deref().unwrap_or("-");
    format!("{id}  {}\n\n{}", record.time, text::columns(&rows, "  "))
}

fn what(record: &Record, denial: &Denial) -> String {
    let verb = match denial.decision.as_str() {
        "deny" => "was refused".to_owned(),
        "would-deny" if record.mode == "observe" => {
            "would have been refused (mode observe), and was let through".to_owned()
        }
        "would-deny" => format!(
            "would have been refused ({} is observed), and was let through",
            denial.op
        ),
        "allowed" => format!(
            "was let through (the configuration allows {}), and noted",
            denial.op
        ),
        "granted" => {
            let grant = denial.grant.as_ref().map_or("a grant", |grant| &grant.id);
            format!("was let through under {grant}")
        }
        _ => "was let through and noted".to_owned(),
    };
    let how = match (&denial.command, &denial.open) {
        (Some(command), _) => {
            let name = command.name.as_deref().unwrap_or(&command.hex);
            let opcode = command
                .opcode
                .map(|code| format!(", opcode {code:#04x}"))
                .unwrap_or_default();
            format!("{name}{opcode}")
        }
        (None, Some(flags)) => format!("{} {flags}", opened(&denial.hook)),
        (None, None) => denial.act.clone().unwrap_or_else(|| denial.hook.clone()),
    };
    let times = if denial.count > 1 {
        format!(", {} times", denial.count)
    } else {
        String::new()
    };
    format!(
        "{} to {} {verb} ({how}){times}",
        denial.op,
        printable(&denial.object.name)
    )
}

/// How a device that is open was used.
fn opened(hook: &str) -> &'static str {
    match hook {
        "file_permission" => "write through what was opened before,",
        "mmap_file" => "mapping of what was opened before,",
        "file_mprotect" => "mapping made writable of what was opened before,",
        _ => "open",
    }
}

fn who(denial: &Denial) -> String {
    let process = &denial.process;
    let command = if process.argv.is_empty() {
        printable(&process.comm)
    } else {
        text::command_line(&process.argv)
    };
    let user = process
        .user
        .clone()
        .unwrap_or_else(|| process.uid.to_string());
    let mut parts = vec![format!("{command} (pid {}), by {user}", process.pid)];
    parts.push(match process.auid {
        Some(_) => format!("logged in as {}", process.login),
        None => process.login.clone(),
    });
    parts.extend(process.tty.as_ref().map(|tty| format!("on {tty}")));
    parts.extend(
        process
            .ssh_peer
            .as_ref()
            .map(|peer| format!("from {}", printable(peer))),
    );
    parts.extend(
        process
            .container
            .as_ref()
            .map(|id| format!("in container {}", printable(id))),
    );
    if process.tty.is_none() {
        parts.extend(
            process
                .unit
                .as_ref()
                .map(|unit| format!("in {}", printable(unit))),
        );
    }
    parts.join(", ")
}

fn why(denial: &Denial) -> String {
    let object = &denial.object;
    let because = match denial.reason.as_str() {
        "unknown-device" => {
            "has not been classified yet; until it is, it counts as protected".to_owned()
        }
        "reaches-protected-disk" => {
            "is free, but the command reaches the whole disk, which is not".to_owned()
        }
        "command-not-listed" => {
            "is protected, and the command is on no list of harmless ones".to_owned()
        }
        "opcode-not-read-only" => {
            "is protected, and the opcode sent to the drive is not a read-only one".to_owned()
        }
        "unreadable-argument" => {
            "is protected, and what the command would do could not be read".to_owned()
        }
        "access-mode-3" => {
            "is protected, and was opened for commands alone (access mode 3)".to_owned()
        }
        "protected-file" => "must stay as it is while this host is guarded".to_owned(),
        "running-system" => "must go on while this host is guarded".to_owned(),
        "guard-itself" => "is what guards this host".to_owned(),
        "not-redundant" => "is an array that would lose its redundancy".to_owned(),
        _ => "is protected".to_owned(),
    };
    let mut text = format!("{} {because}", printable(&object.name));
    if let Some(reason) = object.why.first() {
        text.push_str(": ");
        text.push_str(&printable(&sentence(reason)));
    }
    text
}

fn background(record: &Record, denial: &Denial) -> String {
    let here = match record.state.as_str() {
        "held" => "A database ran on this host and its data is still here",
        _ => "A database runs on this host",
    };
    let op = &denial.op;
    match (denial.decision.as_str(), record.state.as_str()) {
        ("allowed", _) => format!("{here}, but the configuration allows {op} on it."),
        ("granted", _) => format!("{here}. People who may have signed this one act."),
        ("would-deny", _) => {
            format!("{here}. dbguard watches {op} on it and refuses it once it is enforced.")
        }
        (_, "held") => format!("{here}, so dbguard refuses whatever could destroy it."),
        _ => format!(
            "{here}, so dbguard refuses whatever could destroy the disks under it or the running system."
        ),
    }
}

fn next_steps(record: &Record, denial: &Denial) -> Vec<String> {
    let mut steps = Vec::new();
    steps.push(if denial.decision == "deny" {
        "Nothing was changed.".to_owned()
    } else {
        "It was not stopped.".to_owned()
    });
    if denial.decision == "would-deny" {
        steps
            .push("All that enforcing would have blocked: dbguard report --would-block".to_owned());
    }
    steps.push(format!(
        "Did you mean another host? This is {}.",
        printable(&record.host)
    ));
    if denial.op == "boot-file" {
        steps.push(
            "Is it an upgrade? Leave it to the package manager, or run update-grub, update-initramfs or dracut; those are let through.".to_owned(),
        );
        steps.push(
            "Is it the work of a tool of yours? Name it in [tools] extra with the grant boot-files.".to_owned(),
        );
    } else if denial.op == "detach" && denial.object.kind == "file" {
        steps.push(
            "Is the data to move? Stop the database first; then the file system can be unmounted as usual.".to_owned(),
        );
    }
    if denial.reason == "unknown-device" {
        steps.push(
            "Is the device new? Try again in a second; `dbguard devices` shows its class."
                .to_owned(),
        );
    } else if matches!(denial.object.kind.as_str(), "block" | "char") {
        steps.push(
            "Did you mean another device? `dbguard devices` shows which are free.".to_owned(),
        );
    }
    steps.push(format!(
        "Is the data really to go? Stop the database first, then: dbguard release --confirm-host NAME (this host's name, {})",
        printable(&record.host)
    ));
    if denial.decision == "deny" && denial.op != "guard" {
        steps.push(format!(
            "Must it be done, now? dbguard override request {} --incident TICKET --reason \"WHY\" > r.txt",
            record.event.as_deref().unwrap_or("EVENT")
        ));
    }
    steps
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
