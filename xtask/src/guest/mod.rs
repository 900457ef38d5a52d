//! Guests: throw-away machines with a database host in them.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use xtask::guest::{Guest, Guard, Script};
//! use xtask::image::root::Db;
//!
//! let guest = Guest::new("6.12".parse().map_err(anyhow::Error::msg)?)
//!     .guard(Guard::Enforce)
//!     .db(Db::Mariadb);
//! let mut machine = guest.prepare()?;
//! let script = Script::text("mariadb -e 'select 1'");
//! let outcome = machine.run(&script, &mut |bytes| print!("{}", String::from_utf8_lossy(bytes)))?;
//! assert_eq!(outcome.status, 0);
//! # Ok(()) }
//! ```

pub mod accel;
pub mod disks;
pub mod emulator;
pub mod frame;
pub mod initrd;
pub mod machine;
pub mod payload;
pub mod qemu;
pub mod run;
pub mod serial;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::image::kernel::{Flavour, Kernel};
use crate::image::root::Db;

pub use machine::Machine;
pub use run::{Failure, Outcome};

/// What the guard does in a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Its service is not started.
    Off,
    /// Records what it would refuse.
    Observe,
    /// Refuses.
    Enforce,
}

impl Guard {
    /// The mode's name in the configuration, and `off`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// How the guard's programs are attached in a guest. The guard chooses by what the kernel offers,
/// so this is a property of the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Route {
    /// As LSM programs: `bpf` is an active LSM.
    Lsm,
    /// As fmod_ret programs: it is not.
    #[value(name = "fmod_ret")]
    FmodRet,
}

impl Route {
    /// The route that a kernel's own boot gives.
    pub fn of(kernel: Kernel) -> Self {
        if kernel.bpf_is_lsm {
            Self::Lsm
        } else {
            Self::FmodRet
        }
    }

    /// The name on the command line and in the guard's status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lsm => "lsm",
            Self::FmodRet => "fmod_ret",
        }
    }

    /// Why a kernel cannot be booted for this route.
    pub fn refused_by(self, kernel: Kernel) -> Option<String> {
        (self == Self::Lsm && !kernel.bpf_is_lsm).then(|| {
            format!(
                "kernel {kernel} has no route lsm: its BPF LSM programs attach and deny nothing; \
                 use --route fmod_ret"
            )
        })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What starts the guest's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF, with EFI variables of the run's own.
    Efi,
}

/// A file brought into a guest.
#[derive(Clone, Debug)]
pub struct GuestFile {
    /// Its absolute path in the guest.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// Its content.
    pub content: Vec<u8>,
}

/// Everything that distinguishes one guest from another.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The kernel series.
    pub kernel: Kernel,
    /// How the guard's programs are attached.
    pub route: Route,
    /// What the guard does.
    pub guard: Guard,
    /// Which database runs.
    pub db: Db,
    /// Make guest time count instructions.
    pub icount: bool,
    /// What starts the kernel.
    pub firmware: Firmware,
    /// Attach a simulated BMC.
    pub bmc: bool,
    /// Additions to the kernel's command line.
    pub append: Vec<String>,
    /// How long one boot with its script may take.
    pub timeout: Duration,
    /// Memory in mebibytes.
    pub memory: u32,
    /// Host name in the guest.
    pub hostname: String,
    /// A root shell on the console instead of a script.
    pub shell: bool,
    /// The controller, where it is not the one that guests get.
    pub dbguard: Option<PathBuf>,
    /// Files of the caller's.
    pub files: Vec<GuestFile>,
}

/// A guest to be booted.
#[derive(Clone, Debug)]
pub struct Guest {
    spec: Spec,
}

impl Guest {
    /// A guest on the kernel's own route with MariaDB, the guard enforcing, BIOS, 2 GiB and ten minutes.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            spec: Spec {
                kernel,
                route: Route::of(kernel),
                guard: Guard::Enforce,
                db: Db::Mariadb,
                icount: false,
                firmware: Firmware::Bios,
                bmc: false,
                append: Vec::new(),
                timeout: Duration::from_mins(10),
                memory: 2048,
                hostname: "db1".to_owned(),
                shell: false,
                dbguard: None,
                files: Vec::new(),
            },
        }
    }

    /// Another build of the controller than the one that guests get.
    #[must_use]
    pub fn dbguard(mut self, program: PathBuf) -> Self {
        self.spec.dbguard = Some(program);
        self
    }

    /// How the guard's programs are attached.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.spec.route = route;
        self
    }

    /// What the guard does.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.spec.guard = guard;
        self
    }

    /// Which database runs.
    #[must_use]
    pub fn db(mut self, db: Db) -> Self {
        self.spec.db = db;
        self
    }

    /// Guest time counts instructions, on one processor.
    #[must_use]
    pub fn icount(mut self, icount: bool) -> Self {
        self.spec.icount = icount;
        self
    }

    /// What starts the kernel.
    #[must_use]
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.spec.firmware = firmware;
        self
    }

    /// A simulated BMC; the kernel is then the flavour that has IPMI drivers.
    #[must_use]
    pub fn bmc(mut self, bmc: bool) -> Self {
        self.spec.bmc = bmc;
        self
    }

    /// Adds words to the kernel's command line.
    #[must_use]
    pub fn append(mut self, words: &str) -> Self {
        if !words.is_empty() {
            self.spec.append.push(words.to_owned());
        }
        self
    }

    /// How long one boot with its script may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.timeout = timeout;
        self
    }

    /// Memory in mebibytes.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.spec.memory = mib;
        self
    }

    /// The guest's host name.
    #[must_use]
    pub fn hostname(mut self, name: &str) -> Self {
        name.clone_into(&mut self.spec.hostname);
        self
    }

    /// A root shell on this terminal instead of a script.
    #[must_use]
    pub fn shell(mut self, shell: bool) -> Self {
        self.spec.shell = shell;
        self
    }

    /// Brings a file into the guest.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.spec.files.push(GuestFile {
            path: path.to_owned(),
            mode,
            content: content.into(),
        });
        self
    }

    /// What has been asked for.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Makes the images where they are missing, and this guest's own disks.
    pub fn prepare(self) -> Result<Machine> {
        Machine::prepare(self.spec)
    }
}

impl Spec {
    /// The kernel flavour the guest needs.
    pub fn flavour(&self) -> Flavour {
        if self.bmc {
            Flavour::Plain
        } else {
            Flavour::Cloud
        }
    }
}

/// A script to run as root in a guest.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file's bytes; the first line says what interprets them.
    pub content: Vec<u8>,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Script {
    /// A bash script given as text.
    pub fn text(body: &str) -> Self {
        Self {
            content: format!("#!/bin/bash\n{body}\n").into_bytes(),
            args: Vec::new(),
        }
    }

    /// A script or program of this machine.
    pub fn file(path: &Path, args: &[String]) -> Result<Self> {
        let mut content =
            fs::read(path).with_context(|| format!("cannot read the script {}", path.display()))?;
        if !content.starts_with(b"#!") && !content.starts_with(b"\x7fELF") {
            content.splice(0..0, *b"#!/bin/bash\n");
        }
        Ok(Self {
            content,
            args: args.to_vec(),
        })
    }

    /// With these arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }
}

/// Where a run keeps its logs: a directory that no other run has.
pub fn new_run_dir() -> Result<PathBuf> {
    let base = crate::paths::guests();
    fs::create_dir_all(&base).with_context(|| format!("cannot create {}", base.display()))?;
    let pid = std::process::id();
    for number in 0..10_000 {
        let dir = base.join(format!("{pid}-{number}"));
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot create {}", dir.display()));
            }
        }
    }
    anyhow::bail!("{} is full of runs: remove it", base.display())
}
