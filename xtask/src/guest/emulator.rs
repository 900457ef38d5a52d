//! The QEMU that runs guests. Emulation is what a run's time goes to, and QEMU 10 emulates a guest
//! in three quarters of the processor time that Debian 12's own 7.2 takes: on Debian 12 it comes
//! from the backports, unpacked into the cache. Everywhere else the machine's own QEMU is used.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::setup::apt::{Apt, Sibling};
use crate::{cache, cmd};

/// Where the newer one comes from, on a machine that has the suite on the left.
const SUITE: Sibling = ("bookworm", "bookworm-backports");

/// The emulator, its option ROMs, the firmware of guests without EFI. Its libraries are those that
/// the machine's own QEMU depends on.
const PACKAGES: &[&str] = &["qemu-system-x86", "qemu-system-data", "seabios"];

/// What the program is called.
const PROGRAM: &str = "qemu-system-x86_64";

/// Where a QEMU package keeps what the program loads, below its root.
const DATA: &[&str] = &["usr/share/qemu", "usr/share/seabios"];

/// A QEMU and where its data is.
#[derive(Clone, Debug)]
pub struct Emulator {
    /// The program.
    pub program: PathBuf,
    /// Directories to look for data in (`-L`) before the built-in ones.
    data: Vec<PathBuf>,
}

impl Emulator {
    /// The one for this machine, chosen once a run.
    ///
    /// # Errors
    ///
    /// There is no QEMU at all.
    pub fn choose() -> Result<&'static Self> {
        static CHOSEN: OnceLock<Emulator> = OnceLock::new();
        if let Some(chosen) = CHOSEN.get() {
            return Ok(chosen);
        }
        let emulator = match Self::backported() {
            Ok(emulator) => emulator,
            Err(why) => {
                let own = Self::own()?;
                eprintln!("set-up: guests run in the machine's own QEMU: {why:#}");
                own
            }
        };
        Ok(CHOSEN.get_or_init(|| emulator))
    }

    /// The arguments that it wants first.
    pub fn args(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.data
            .iter()
            .flat_map(|dir| [PathBuf::from("-L"), dir.clone()])
    }

    /// What it says of its version.
    pub fn version(&self) -> Result<String> {
        cmd::capture(
            Command::new(&self.program).arg("--version"),
            "asking QEMU for its version",
        )
    }

    fn own() -> Result<Self> {
        let program = cmd::which(PROGRAM)
            .context("qemu-system-x86_64 is missing: apt-get install qemu-system-x86")?;
        Ok(Self {
            program,
            data: Vec::new(),
        })
    }

    fn backported() -> Result<Self> {
        let key = cache::key(&["qemu 1", SUITE.1]);
        let place = cache::ensure("qemu", &key, "QEMU of Debian 12's backports", |work| {
            let private = work.join("apt");
            let apt = Apt::private(&private, &[SUITE], &work.join("log"))?;
            let packages: Vec<String> = PACKAGES.iter().map(|&name| name.to_owned()).collect();
            apt.unpack(&packages, work, &work.join("tree"))?;
            // A machine that lacks a library of it says so now, not at the first guest.
            Self::of_tree(&work.join("tree")).version()?;
            std::fs::remove_dir_all(&private).context("cannot remove apt's lists")
        })?;
        Ok(Self::of_tree(&place.join("tree")))
    }

    fn of_tree(tree: &Path) -> Self {
        let own = Path::new("/");
        Self {
            program: tree.join("usr/bin").join(PROGRAM),
            // the machine's own last: network cards' ROMs are a package of their own
            data: [tree, own]
                .iter()
                .flat_map(|root| DATA.iter().map(|dir| root.join(dir)))
                .collect(),
        }
    }
}
