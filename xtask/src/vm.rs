//! `cargo xtask vm`: one guest, one script, its exit status ours.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::build;
use crate::guest::{Firmware, Guard, Guest, Route, Script};
use crate::image::kernel::Kernel;
use crate::image::root::Db;
use crate::setup::{self, Need};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GuardArg {
    Off,
    Observe,
    Enforce,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DbArg {
    Mariadb,
    Postgres,
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FirmwareArg {
    Bios,
    Efi,
}

/// Boot a guest and run a script as root in it; without a script, a root shell
#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Options {
    /// The guest's kernel series: 5.10, 6.1, 6.12 or 7
    #[arg(long, default_value = "6.12")]
    kernel: Kernel,
    /// How the guard attaches to the kernel; by default as the kernel's own list of LSMs has it
    #[arg(long, value_enum)]
    route: Option<Route>,
    /// What the guard does
    #[arg(long, value_enum, default_value = "enforce")]
    guard: GuardArg,
    /// Which database runs
    #[arg(long, value_enum, default_value = "mariadb")]
    db: DbArg,
    /// Make guest time count instructions, on one processor
    #[arg(long)]
    icount: bool,
    /// What starts the kernel
    #[arg(long, value_enum, default_value = "bios")]
    firmware: FirmwareArg,
    /// Attach a simulated BMC
    #[arg(long)]
    bmc: bool,
    /// Stop the guest after this many seconds
    #[arg(long, value_name = "S", default_value_t = 600)]
    timeout: u64,
    /// Add words to the kernel's command line
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    memory: u32,
    /// Use what was built before, build nothing
    #[arg(long)]
    no_build: bool,
    /// Leave the guest's disk images under target/guests
    #[arg(long)]
    keep_disks: bool,
    /// The script, a file of this machine
    script: Option<PathBuf>,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs the verb; gives the exit status.
pub fn run(options: &Options) -> Result<u8> {
    if let Some(why) = options
        .route
        .and_then(|route| route.refused_by(options.kernel))
    {
        bail!(why);
    }
    let script = match &options.script {
        Some(path) => Script::file(path, &options.args)?,
        None => Script::text(""),
    };
    let mut needs = vec![Need::Guests];
    if !options.no_build {
        needs.push(Need::Build);
    }
    setup::ensure(&needs)?;
    if !options.no_build {
        build::for_guests()?;
    }
    let mut machine = guest(options).prepare()?;
    if options.keep_disks {
        machine.keep_disks();
    }
    let mut stdout = std::io::stdout();
    let outcome = machine.run(&script, &mut |bytes| {
        stdout.write_all(bytes).and_then(|()| stdout.flush()).ok();
    })?;
    eprintln!(
        "vm: kernel {}, route {}, script started after {:.1} s, ended after {:.1} s with status {}; {}",
        options.kernel,
        route(options),
        outcome.boot.as_secs_f32(),
        outcome.total.as_secs_f32(),
        outcome.status,
        outcome.serial.display()
    );
    Ok(outcome.status)
}

fn route(options: &Options) -> Route {
    options.route.unwrap_or(Route::of(options.kernel))
}

fn guest(options: &Options) -> Guest {
    let mut guest = Guest::new(options.kernel)
        .route(route(options))
        .guard(match options.guard {
            GuardArg::Off => Guard::Off,
            GuardArg::Observe => Guard::Observe,
            GuardArg::Enforce => Guard::Enforce,
        })
        .db(match options.db {
            DbArg::Mariadb => Db::Mariadb,
            DbArg::Postgres => Db::Postgres,
            DbArg::None => Db::None,
        })
        .firmware(match options.firmware {
            FirmwareArg::Bios => Firmware::Bios,
            FirmwareArg::Efi => Firmware::Efi,
        })
        .icount(options.icount)
        .bmc(options.bmc)
        .memory(options.memory)
        .shell(options.script.is_none())
        .timeout(Duration::from_secs(options.timeout));
    for words in &options.append {
        guest = guest.append(words);
    }
    guest
}
