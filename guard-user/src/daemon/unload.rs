//! Taking the kernel half out: the last step of an orderly removal, and the one that ends
//! enforcement. The controller must have ended, the host must be idle, and it is recorded first.

use std::fs;
use std::io;
use std::path::Path;

use super::recorder::Recorder;
use super::start::{confirm_host, log_context, node_name};
use super::{End, actor, lock};
use crate::audit::enrich::Sources;
use crate::audit::log::{Draft, Stance};
use crate::audit::log_path;
use crate::audit::record::{Body, Unload};
use crate::kernel::{Guard, pin};
use crate::state::{self, HostState, Loaded};
use crate::sysexits::{INTERNAL, NOT_PERMITTED, TRY_AGAIN, USAGE};

fn end(exit: u8, message: impl Into<String>) -> End {
    End {
        exit,
        message: message.into(),
    }
}

/// Does it, or says why not.
pub fn unload(confirmed: &str) -> Result<String, End> {
    confirm_host(confirmed, "nothing was unloaded").map_err(|why| end(USAGE, why))?;
    let host = node_name();
    if !rustix::process::geteuid().is_root() {
        return Err(end(NOT_PERMITTED, "only root may do this; run it as root"));
    }
    let _lock = lock::take().map_err(|error| match error.exit {
        TRY_AGAIN => end(
            TRY_AGAIN,
            "the controller runs, and would load it again; stop it first: systemctl disable --now dbguard",
        ),
        _ => error,
    })?;
    if !Path::new(pin::ROOT).is_dir() {
        return Ok(format!("nothing is loaded on {host}"));
    }
    let refused = why_not();
    record(refused.as_deref())?;
    if let Some(why) = refused {
        return Err(end(TRY_AGAIN, why));
    }
    remove().map_err(|error| {
        end(
            INTERNAL,
            format!(
                "removing {}: {error}; look at what is left there",
                pin::ROOT
            ),
        )
    })?;
    Ok(format!(
        "the kernel half is unloaded: nothing is refused on {host} any more"
    ))
}

/// Only an idle host has nothing to lose: by the kernel half's word, and by what is remembered.
fn why_not() -> Option<String> {
    let refuse = |state: &str| {
        Some(format!(
            "the host is {state}; stop the database and release it first: dbguard release --confirm-host {}",
            node_name()
        ))
    };
    // Pins of another version cannot be read; what they say was written down.
    if Guard::open().is_ok_and(|guard| guard.is_enforcing().unwrap_or(true)) {
        return refuse("armed or held");
    }
    match state::load(Path::new(state::STATE_PATH)) {
        Loaded::Valid(state) if state.host != HostState::Idle => refuse(state.host.as_str()),
        _ => None,
    }
}

fn record(refused: Option<&str>) -> Result<(), End> {
    let (context, epoch) = log_context();
    let stance = Stance {
        mode: "unknown",
        state: if refused.is_some() {
            HostState::Held.as_str()
        } else {
            HostState::Idle.as_str()
        },
    };
    let by = actor::of_client(
        &Sources::host(),
        std::process::id(),
        rustix::process::getuid().as_raw(),
    );
    let body = Body::Unload(Unload {
        by,
        refused: refused.map(str::to_owned),
    });
    let mut recorder = Recorder::new(log_path().to_owned(), context, epoch, stance);
    recorder
        .write_first(Draft::now(stance, body), stance)
        .map_err(|why| end(TRY_AGAIN, why))
}

/// The programs first, then what they looked at.
fn remove() -> io::Result<()> {
    for set in pin::sets()? {
        pin::remove_set(&set)?;
    }
    fs::remove_dir_all(pin::ROOT)
}
