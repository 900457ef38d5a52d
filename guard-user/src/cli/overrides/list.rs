use std::fmt::Write as _;

use crate::cli::exit::{Exit, Failure, unexpected};
use crate::cli::{Output, text};
use crate::control::{self, Answer, Grant, Overrides, Request};

/// Show the grants of this boot
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let overrides = match control::ask(&Request::OverrideList)? {
        Answer::Overrides(overrides) => overrides,
        other => return Err(unexpected(other)),
    };
    if args.json {
        let text = serde_json::to_string_pretty(&overrides)
            .map_err(|error| Failure::new(Exit::INTERNAL, error.to_string()))?;
        return Ok(Output::ok(text + "\n"));
    }
    Ok(Output::ok(shown(&overrides)))
}

fn shown(overrides: &Overrides) -> String {
    let mut out = String::new();
    let rows: Vec<Vec<String>> = overrides.grants.iter().map(row).collect();
    if rows.is_empty() {
        out.push_str("no grant was given since this host was started\n");
    } else {
        out.push_str(&text::columns(&rows, ""));
    }
    if overrides.waiting > 0 {
        let _ = writeln!(
            out,
            "{} requests were made and not applied",
            overrides.waiting
        );
    }
    for problem in &overrides.problems {
        let _ = writeln!(out, "problem: {problem}");
    }
    out
}

fn row(grant: &Grant) -> Vec<String> {
    let state = match &grant.closed {
        Some(why) => format!("closed: {why}"),
        None => format!(
            "open for {}:{:02}",
            grant.seconds_left / 60,
            grant.seconds_left % 60
        ),
    };
    vec![
        grant.id.clone(),
        state,
        format!("used {} of {}", grant.used, grant.uses),
        format!("{} on {}", grant.opens.join(" "), grant.object),
        format!("{}: {}", grant.incident, grant.reason),
        format!(
            "asked by {}, signed by {}",
            grant.requester,
            grant.signers.join(", ")
        ),
    ]
}
