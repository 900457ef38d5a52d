//! Programs on the path of every read and write. They are loaded and pinned with the others, and
//! attached only while something lives that they must stop: a descriptor for writing that was
//! opened before that would have been refused.
//!
//! A new set has them attached; the controller takes them off once it has looked and found
//! nothing. So whatever dies in between leaves them where they are, and the next controller looks
//! again.
//!
//! Before Linux 5.13 a program of this kind can be attached once (kernel/bpf/syscall.c
//! `bpf_tracing_prog_attach`: `ENOENT` the second time). There a new set does not have them attached,
//! and once they are needed they stay.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use super::guard::Guard;
use super::hooks::{Attach, Exercise, HookSpec, Presence};
use super::problem::{GuardError, Result};
use super::{bpf, pin};

/// The programs, in the order in which they are attached.
pub const ON_DEMAND: &[HookSpec] = &[
    hook(
        "file_permission",
        "writes through descriptors that were opened before",
    ),
    hook(
        "mmap_file",
        "mappings of descriptors that were opened before",
    ),
    hook(
        "file_mprotect",
        "mappings from before that are made writable",
    ),
];

const fn hook(name: &'static str, opens: &'static str) -> HookSpec {
    HookSpec {
        program: name,
        target: name,
        attach: Attach::Security,
        presence: Presence::Required,
        opens,
        covered_by: "nothing",
        exercise: Exercise::NotTried("it is attached only while such a descriptor lives"),
    }
}

/// Pins a loaded program in a set, and attaches it.
pub(super) fn add_to_set(set: &Path, name: &str, program: BorrowedFd<'_>) -> io::Result<()> {
    fs::create_dir_all(pin::programs(set))?;
    fs::create_dir_all(pin::on_demand(set))?;
    bpf::pin(program, &pin::programs(set).join(name))?;
    if can_be_attached_again() {
        attach(set, name, program)
    } else {
        Ok(())
    }
}

/// Told by the version: trying would use a program up. Where it is wrong the programs stay for
/// longer than they must, or `status` says that they could not be attached.
fn can_be_attached_again() -> bool {
    is_at_least(
        &rustix::system::uname().release().to_string_lossy(),
        (5, 13),
    )
}

/// Whether a kernel release (`5.10.0-46-cloud-amd64`) is of this version or a later one.
fn is_at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map(|digits| digits.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= wanted
}

fn attach(set: &Path, name: &str, program: BorrowedFd<'_>) -> io::Result<()> {
    let directory = pin::on_demand(set);
    fs::create_dir_all(&directory)?;
    let link = bpf::attach(program)?;
    bpf::pin(link.as_fd(), &directory.join(name))
}

impl Guard {
    /// Attaches the programs that are not.
    pub fn attach_on_demand(&self) -> Result<()> {
        each(|set, name| {
            if is_attached(set, name) {
                return Ok(());
            }
            let program = bpf::open_pinned(&pin::programs(set).join(name))?;
            attach(set, name, program.as_fd())
        })
        .map_err(|source| failed("attaching", source))
    }

    /// Detaches all of them, where they can be attached again. The programs stay loaded.
    pub fn detach_on_demand(&self) -> Result<()> {
        if !can_be_attached_again() {
            return Ok(());
        }
        each(
            |set, name| match fs::remove_file(pin::on_demand(set).join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        )
        .map_err(|source| failed("detaching", source))
    }

    /// Whether all of them are attached.
    pub fn on_demand_is_attached(&self) -> Result<bool> {
        let mut whole = true;
        each(|set, name| {
            whole &= is_attached(set, name);
            Ok(())
        })
        .map_err(|source| failed("looking at", source))?;
        Ok(whole)
    }
}

fn is_attached(set: &Path, name: &str) -> bool {
    bpf::open_pinned(&pin::on_demand(set).join(name)).is_ok()
}

/// Does something for each program of each complete set. There is one set, but for the moment in
/// which another takes its place.
fn each(mut act: impl FnMut(&Path, &str) -> io::Result<()>) -> io::Result<()> {
    for set in pin::complete_sets()? {
        for hook in ON_DEMAND {
            act(&set, hook.program)?;
        }
    }
    Ok(())
}

fn failed(act: &str, source: io::Error) -> GuardError {
    GuardError::Io {
        what: format!("{act} the programs in {}", pin::link_sets().display()),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        for (release, expected) in [
            ("5.10.0-46-cloud-amd64", false),
            ("5.9", false),
            ("4.19.0", false),
            ("5.13.0-rc1", true),
            ("5.14.0-427.el9.x86_64", true),
            ("6.1.0-56-cloud-amd64", true),
            ("", false),
        ] {
            assert_eq!(is_at_least(release, (5, 13)), expected, "{release}");
        }
    }
}
