//! `cargo xtask demo`: the reinstall command of 2014 on two database machines, one without dbguard
//! and one with it. Everything under "Proved" is computed from what the guests did.

mod facts;
mod proof;

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::Args;

use crate::guest::{Guard, Guest, Machine, Outcome, Script};
use crate::image::kernel::Kernel;
use crate::image::root::Db;
use crate::setup::{self, Need};
use crate::{build, paths};
use facts::{Facts, Lines};

/// What the demonstration brings into its guests, beside the script of the act.
const FILES: &[(&str, &str, u32)] = &[
    ("lib.sh", "/usr/local/demo/lib.sh", 0o644),
    ("dsh", "/usr/local/demo/dsh", 0o755),
    ("perform_upgrade", "/usr/local/demo/perform_upgrade", 0o755),
    ("machines", "/etc/dsh/machines", 0o644),
];

/// One boot with its script may take this long.
const LIMIT: Duration = Duration::from_secs(400);

/// The two machines.
#[derive(Clone, Copy)]
enum Act {
    Unguarded,
    Guarded,
}

impl Act {
    fn script(self) -> &'static str {
        match self {
            Self::Unguarded => "unguarded.sh",
            Self::Guarded => "guarded.sh",
        }
    }

    fn guard(self) -> Guard {
        match self {
            Self::Unguarded => Guard::Off,
            Self::Guarded => Guard::Enforce,
        }
    }
}

/// Show the reinstall command on two live database machines, without dbguard and with it
#[derive(Args, Debug)]
pub struct Options {
    /// The guests' kernel series: 6.1 or 6.12
    #[arg(long, default_value = "6.12")]
    kernel: Kernel,
    /// Use what was built before, build nothing
    #[arg(long)]
    no_build: bool,
}

/// Runs the verb; gives the exit status: 0 where everything claimed was proved.
pub fn run(options: &Options) -> Result<u8> {
    setup::ensure(&[Need::Build, Need::Guests])?;
    if !options.no_build {
        build::for_guests()?;
    }
    show(options.kernel)
}

/// The demonstration, once set up and built.
fn show(kernel: Kernel) -> Result<u8> {
    let started = Instant::now();
    heading("dbguard: the reinstall command, on a live database machine");
    println!(
        "Two throw-away guests boot side by side: Linux {kernel}, MariaDB on an NVMe disk, the same\n\
         disks, the same provisioning script. One of them has dbguard installed."
    );
    let first = machine(Act::Unguarded, kernel)?;
    let second = machine(Act::Guarded, kernel)?;
    let (before, after) = both(first, second)?;
    let proofs = proof::of(&before, &after);
    heading("Proved");
    for proof in &proofs {
        println!("{proof}");
    }
    println!(
        "\nNot shown: a forced restart, kexec and changes to firmware boot entries, which are refused too\n\
         (docs/coverage.md). The script stopped before its restart because its own steps failed."
    );
    let failed = proofs.iter().filter(|proof| !proof.holds).count();
    let seconds = started.elapsed().as_secs();
    if failed == 0 {
        println!("\nAll {} hold. {seconds} s.", proofs.len());
        return Ok(0);
    }
    println!("\n{failed} of {} DO NOT HOLD. {seconds} s.", proofs.len());
    Ok(1)
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "=".repeat(text.len()));
}

fn machine(act: Act, kernel: Kernel) -> Result<Machine> {
    let dir = paths::root().join("tests/demo");
    let mut guest = Guest::new(kernel)
        .guard(act.guard())
        .db(Db::Mariadb)
        .timeout(LIMIT);
    for (name, path, mode) in FILES {
        let file = dir.join(name);
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        guest = guest.file(path, *mode, content);
    }
    guest.prepare()
}

/// Boots both machines at once. What the second one prints is kept until the first is done.
fn both(mut first: Machine, mut second: Machine) -> Result<(Facts, Facts)> {
    let (sender, receiver) = mpsc::channel::<String>();
    thread::scope(|scope| {
        let guarded = scope.spawn(move || {
            perform(&mut second, Act::Guarded, &mut |line| {
                // The receiver lives until this thread is joined, or the demonstration has failed.
                sender.send(line.to_owned()).ok();
            })
        });
        heading("1. Without dbguard");
        let mut print = |line: &str| println!("    {line}");
        let before = perform(&mut first, Act::Unguarded, &mut print)?;
        heading("2. With dbguard");
        for line in receiver {
            print(&line);
        }
        let after = guarded
            .join()
            .map_err(|_| anyhow!("the second guest's thread panicked"))??;
        Ok((before, after))
    })
}

/// Boots one machine with the script of its act; `show` gets each line meant for people.
fn perform(machine: &mut Machine, act: Act, show: &mut dyn FnMut(&str)) -> Result<Facts> {
    let script = Script::file(&paths::root().join("tests/demo").join(act.script()), &[])?;
    let mut facts = Facts::default();
    let mut lines = Lines::default();
    let outcome: Outcome = machine.run(&script, &mut |bytes| {
        lines.feed(bytes, &mut |line| {
            if !facts.take(line) {
                show(line);
            }
        });
    })?;
    lines.finish(&mut |line| show(line));
    show("");
    show(&format!(
        "(booted in {} s, over after {} s)",
        outcome.boot.as_secs(),
        outcome.total.as_secs()
    ));
    Ok(facts)
}
