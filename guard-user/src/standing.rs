//! The status of a host whose controller does not answer: what is loaded in the kernel.

use std::collections::BTreeMap;

use guard_abi::{DeviceClass, Engine, maps};

use crate::audit::record::Database;
use crate::cli::exit::{Exit, Failure};
use crate::config::Modes;
use crate::control::{AuditStatus, Device, DeviceCounts, Problem, Protection, SecondLayer, Status};
use crate::kernel::{self, Guard, pin};
use crate::state::HostState;

/// Reads the pins.
pub fn without_controller(silence: &str) -> Result<Status, Failure> {
    let uname = rustix::system::uname();
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: uname.nodename().to_string_lossy().into_owned(),
        controller: false,
        protection: Protection::Unprotected,
        mode: "unknown".to_owned(),
        ops: BTreeMap::new(),
        ops_set: BTreeMap::new(),
        state: "unknown".to_owned(),
        route: "none".to_owned(),
        route_why: String::new(),
        kernel: format!(
            "{} {}",
            uname.release().to_string_lossy(),
            uname.machine().to_string_lossy()
        ),
        hooks: Vec::new(),
        second_layer: SecondLayer::default(),
        self_test: Vec::new(),
        problems: Vec::new(),
        databases: Vec::new(),
        devices: DeviceCounts::default(),
        protected: Vec::<Device>::new(),
        audit: AuditStatus::default(),
        counters: None,
        held_open: Vec::new(),
        grants: Vec::new(),
    };
    match std::fs::metadata(pin::map(maps::ARM)) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(Failure::new(
                Exit::STATUS_UNKNOWN,
                format!(
                    "{silence}, and what is loaded in the kernel cannot be seen: run this as root"
                ),
            ));
        }
        Err(_) => {
            status.problems.push(Problem {
                part: "kernel".to_owned(),
                detail: format!("UNPROTECTED: nothing is loaded in the kernel, and {silence}; start it: systemctl start dbguard"),
            });
            return Ok(status);
        }
        Ok(_) => {}
    }
    let guard = Guard::open().map_err(Failure::from)?;
    let unreadable =
        |error: kernel::GuardError| Failure::new(Exit::STATUS_UNKNOWN, error.to_string());
    fill(&mut status, &guard, silence).map_err(unreadable)?;
    Ok(status)
}

fn fill(status: &mut Status, guard: &Guard, silence: &str) -> kernel::Result<()> {
    let links = guard.links_intact()?;
    status.second_layer = SecondLayer::told(&links.hooks, None);
    if let Some(route) = links.route {
        status.route = route.to_string();
    }
    let policy = guard.policy()?;
    let modes = Modes::of_policy(&policy);
    modes.mode().as_str().clone_into(&mut status.mode);
    status.ops = modes.all();
    status.ops_set = modes.exceptions();
    let critical: Vec<_> = guard
        .tasks()?
        .into_iter()
        .filter(|(_, task)| task.engine != 0)
        .collect();
    let state = match (guard.is_enforcing()?, critical.is_empty()) {
        (false, _) => HostState::Idle,
        (true, true) => HostState::Held,
        (true, false) => HostState::Armed,
    };
    state.as_str().clone_into(&mut status.state);
    status.databases = critical
        .into_iter()
        .map(|(pid, task)| {
            let engine = u8::try_from(task.engine).ok().and_then(Engine::from_u8);
            Database {
                engine: engine.map_or("unknown", Engine::as_str).to_owned(),
                pid,
                name: std::fs::read_to_string(format!("/proc/{pid}/comm"))
                    .map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned()),
                data: Vec::new(),
                role: "unknown".to_owned(),
            }
        })
        .collect();
    for (_, entry) in guard.devices()? {
        if entry.class == DeviceClass::Free as u32 {
            status.devices.free += 1;
        } else {
            status.devices.protected += 1;
        }
    }
    status.counters = Some(guard.counters()?);
    let holes = links.holes();
    let detail = if holes.is_empty() {
        status.protection = Protection::Degraded;
        format!("{silence}; the kernel half still refuses; start it: systemctl start dbguard")
    } else {
        format!(
            "UNPROTECTED: hooks {} are not attached, and {silence}; run: systemctl restart dbguard",
            holes.join(", ")
        )
    };
    status.problems.push(Problem {
        part: "controller".to_owned(),
        detail,
    });
    status.hooks = links.hooks;
    Ok(())
}
