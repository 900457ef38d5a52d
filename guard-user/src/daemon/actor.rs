//! Who is on the other side of the control socket.

use std::fs;

use crate::audit::enrich::{self, Sources};
use crate::audit::names;
use crate::audit::record::Actor;
use crate::session;

/// What `/proc` says of a client, best effort; its user id is the kernel's word.
pub fn of_client(sources: &Sources, pid: u32, uid: u32) -> Actor {
    let directory = sources.proc.join(pid.to_string());
    let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let auid = read("loginuid")
        .and_then(|text| text.trim().parse::<u32>().ok())
        .filter(|auid| *auid != u32::MAX);
    Actor {
        pid,
        uid,
        user: names::user(&sources.root, uid),
        auid,
        login: enrich::login(sources, auid),
        tty: read("stat").as_deref().and_then(session::tty_of),
        ssh_peer: enrich::ssh_peer(sources, Some(pid), &[]),
    }
}
