//! How the programs of the security hooks come to run: as BPF LSM programs where `bpf` is an
//! active security module, and as `fmod_ret` programs of the functions that call the modules where
//! it is not. The programs and their maps are the same.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};

use rustix::fs::{Mode, OFlags, openat};
use serde::{Deserialize, Serialize};

use super::canary::private_file_system;
use super::pin;

/// How the programs of the security hooks are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// As BPF LSM programs.
    #[serde(rename = "lsm")]
    Lsm,
    /// As programs that may answer in place of a `security_*` function
    /// (kernel/bpf/verifier.c `check_attach_modify_return`).
    #[serde(rename = "fmod_ret")]
    FmodRet,
}

impl Route {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Lsm, Self::FmodRet];

    /// Its name, in reports and in the name of a link set.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lsm => "lsm",
            Self::FmodRet => "fmod_ret",
        }
    }

    /// The route of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.as_str() == name)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which route is to be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// `None` where only trying can tell.
    pub route: Option<Route>,
    /// One clause.
    pub why: String,
    /// The active security modules in their order; empty where they could not be read.
    pub modules: Vec<String>,
}

impl Choice {
    /// The routes to be tried, in this order.
    pub(super) fn candidates(&self) -> &'static [Route] {
        match self.route {
            Some(Route::Lsm) => &[Route::Lsm],
            Some(Route::FmodRet) => &[Route::FmodRet],
            None => &Route::ALL,
        }
    }
}

/// Decides by the list of active security modules. Attaching an LSM program succeeds also where
/// `bpf` is not one of them; it is then never run.
pub(super) fn choose() -> Choice {
    match active_modules() {
        Ok(list) => by_list(&list),
        Err(error) => Choice {
            // What has been found out once holds until the next boot, as the pins do.
            route: pinned(),
            why: format!(
                "the list of active security modules cannot be read ({error}), so it was found out by an attack on the canary"
            ),
            modules: Vec::new(),
        },
    }
}

fn by_list(list: &str) -> Choice {
    let modules: Vec<String> = list.trim().split(',').map(str::to_owned).collect();
    let active = modules.iter().any(|name| name == "bpf");
    Choice {
        route: Some(if active { Route::Lsm } else { Route::FmodRet }),
        why: format!(
            "`bpf` {} among the active security modules ({})",
            if active { "is" } else { "is not" },
            list.trim()
        ),
        modules,
    }
}

/// The list, from where securityfs is mounted, or else from a mount of our own that no directory
/// leads to.
fn active_modules() -> io::Result<String> {
    const MOUNTED: &str = "/sys/kernel/security/lsm";
    let mounted = match fs::read_to_string(MOUNTED) {
        Err(error) => error,
        list => return list,
    };
    let private = || -> io::Result<String> {
        let root = private_file_system("securityfs")?;
        let file = openat(
            &root,
            "lsm",
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut list = String::new();
        File::from(file).read_to_string(&mut list)?;
        Ok(list)
    };
    private().map_err(|error| {
        io::Error::other(format!(
            "{MOUNTED}: {mounted}; mounting securityfs: {error}"
        ))
    })
}

/// The route of the programs that are attached.
fn pinned() -> Option<Route> {
    let sets = pin::complete_sets().ok()?;
    sets.first().map(|set| pin::route_of(set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_decides() {
        let with = by_list("lockdown,capability,landlock,yama,apparmor,bpf\n");
        assert_eq!(with.route, Some(Route::Lsm));
        assert_eq!(with.candidates(), [Route::Lsm]);
        let without = by_list("capability,bpfish");
        assert_eq!(without.route, Some(Route::FmodRet));
        assert!(without.why.contains("is not among") && without.why.contains("bpfish"));
    }

    #[test]
    fn names_are_read_back() {
        for route in Route::ALL {
            assert_eq!(Route::parse(route.as_str()), Some(route));
            let json = serde_json::to_string(&route).expect("JSON");
            assert_eq!(json, format!("\"{route}\""));
        }
    }
}
