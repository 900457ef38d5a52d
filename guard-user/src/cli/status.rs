use super::devices::first_reason;
use super::exit::{Exit, Failure, unexpected};
use super::{Output, text};
use crate::audit::names::printable;
use crate::config::describe;
use crate::control::{Answer, ControlError, Grant, Protection, Request, Status, ask};
use crate::kernel::{HookStatus, HookTest, TestOutcome};
use crate::standing;

/// Show whether this host is protected, and how
///
/// Works without the controller, as root, by reading what is loaded in the kernel.
///
/// Exit codes: 0 guarding (idle, armed or held, everything works); 1 degraded: the kernel half
/// guards, but something beside it does not work, the controller itself for instance; 2
/// UNPROTECTED; 3 cannot be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let unknown = |failure: Failure| Failure {
        exit: Exit::STATUS_UNKNOWN,
        ..failure
    };
    let status = match ask(&Request::Status) {
        Ok(Answer::Status(status)) => *status,
        Ok(other) => return Err(unknown(unexpected(other))),
        Err(error @ ControlError::NotPermitted) => return Err(unknown(error.into())),
        Err(error) => standing::without_controller(&error.to_string()).map_err(unknown)?,
    };
    let exit = match status.protection {
        Protection::Guarding => Exit::OK,
        Protection::Degraded => Exit::STATUS_DEGRADED,
        Protection::Unprotected => Exit::STATUS_UNPROTECTED,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&status)
            .map_err(|error| Failure::new(Exit::STATUS_UNKNOWN, error.to_string()))?
            + "\n"
    } else {
        show(&status)
    };
    Ok(Output { text, exit })
}

fn show(status: &Status) -> String {
    let word = match status.protection {
        Protection::Guarding => "guarding",
        Protection::Degraded => "DEGRADED",
        Protection::Unprotected => "UNPROTECTED",
    };
    let mut text = format!(
        "dbguard on {}: {word}, {}, mode {}\n",
        status.host,
        status.state,
        describe(&status.mode, &status.ops_set)
    );
    let attached = status.hooks.iter().filter(|hook| hook.attached).count();
    let mut rows = vec![row(
        "kernel",
        &format!(
            "{}, route {}, {attached} of {} hooks",
            status.kernel,
            status.route,
            status.hooks.len()
        ),
    )];
    rows.push(row(
        "layer 2",
        &format!(
            "{}: {}",
            if status.second_layer.works {
                "works"
            } else {
                "OFF"
            },
            status.second_layer.detail
        ),
    ));
    rows.extend(hook_rows(status));
    for (at, database) in status.databases.iter().enumerate() {
        let label = if at == 0 { "database" } else { "" };
        let mut text = format!("{} {}", database.name, database.pid);
        if !database.data.is_empty() {
            text.push_str(", ");
            text.push_str(&printable(&database.data.join(", ")));
        } else if status.controller {
            text.push_str(", data directory not found");
        }
        rows.push(row(label, &text));
    }
    let counts = status.devices;
    if status.controller {
        rows.push(row(
            "devices",
            &format!(
                "{} protected, {} free, {} unknown",
                counts.protected, counts.free, counts.unknown
            ),
        ));
    } else {
        rows.push(row(
            "devices",
            &format!("{} protected, {} free", counts.protected, counts.free),
        ));
    }
    rows.extend(protected_rows(status));
    for (at, held) in status.held_open.iter().enumerate() {
        let label = if at == 0 { "held open" } else { "" };
        rows.push(row(label, &printable(&held.to_string())));
    }
    for (at, grant) in status.grants.iter().enumerate() {
        let label = if at == 0 { "OVERRIDES" } else { "" };
        rows.push(row(label, &printable(&open_grant(grant))));
    }
    if let Some(counters) = &status.counters {
        rows.push(row(
            "events",
            &format!(
                "{} refused, {} would be refused, {} noted",
                counters.denied, counters.would_deny, counters.recorded
            ),
        ));
    }
    if status.controller {
        let audit = &status.audit;
        rows.push(row(
            "audit",
            &format!(
                "{}: {} recorded, {} lost",
                audit.path.display(),
                audit.recorded,
                audit.lost
            ),
        ));
    }
    for (at, problem) in status.problems.iter().enumerate() {
        let label = if at == 0 { "problems" } else { "" };
        rows.push(row(
            label,
            &format!("{}: {}", problem.part, printable(&problem.detail)),
        ));
    }
    text.push_str(&text::columns(&rows, "  "));
    text
}

/// Why this route, what the hooks that are not there leave open, and runs that were skipped.
fn hook_rows(status: &Status) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    if !status.route_why.is_empty() {
        rows.push(row("", &printable(&status.route_why)));
    }
    let refused = |test: &&HookTest| test.outcome == TestOutcome::Refused;
    let proved: Vec<&str> = status
        .self_test
        .iter()
        .filter(refused)
        .map(|test| test.hook.as_str())
        .collect();
    if !proved.is_empty() {
        rows.push(row("", &format!("seen to refuse: {}", proved.join(", "))));
    }
    for hook in status.hooks.iter().filter(|hook| !hook.attached) {
        let why = hook.why_missing.as_deref().unwrap_or("not attached");
        let (opens, covered_by) = (&hook.opens, &hook.covered_by);
        let text = format!(
            "no {}: {why}; leaves open: {opens}; covered by: {covered_by}",
            hook.name
        );
        rows.push(row("", &text));
    }
    let missed = |hook: &&HookStatus| hook.misses.is_some_and(|misses| misses > 0);
    let missed: Vec<String> = status
        .hooks
        .iter()
        .filter(missed)
        .map(|hook| format!("{} {}", hook.name, hook.misses.unwrap_or(0)))
        .collect();
    if !missed.is_empty() {
        rows.push(row(
            "skipped",
            &format!(
                "runs while another task was preempted inside: {}",
                missed.join(", ")
            ),
        ));
    }
    rows
}

fn open_grant(grant: &Grant) -> String {
    format!(
        "{id} opens {opens} on {object} for {minutes}:{seconds:02}, used {used} of {uses} ({incident}); to close it: dbguard override revoke {id}",
        id = grant.id,
        opens = grant.opens.join(" "),
        object = grant.object,
        minutes = grant.seconds_left / 60,
        seconds = grant.seconds_left % 60,
        used = grant.used,
        uses = grant.uses,
        incident = grant.incident,
    )
}

fn protected_rows(status: &Status) -> Vec<Vec<String>> {
    /// More are in `dbguard devices`.
    const SHOWN: usize = 12;
    let width = status
        .protected
        .iter()
        .take(SHOWN)
        .map(|device| device.name.len())
        .max();
    let width = width.unwrap_or(0);
    let mut rows: Vec<_> = status
        .protected
        .iter()
        .take(SHOWN)
        .map(|device| {
            row(
                "",
                &format!("{:width$}  {}", device.name, first_reason(device)),
            )
        })
        .collect();
    if status.protected.len() > SHOWN {
        rows.push(row(
            "",
            &format!(
                "and {} more: dbguard devices",
                status.protected.len() - SHOWN
            ),
        ));
    }
    rows
}

fn row(label: &str, value: &str) -> Vec<String> {
    vec![label.to_owned(), value.to_owned()]
}
