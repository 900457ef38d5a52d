//! Drives the kernel half by hand, without the controller: for working on the programs in a guest.
//!
//! ```text
//! guard probe                         what the kernel can do
//! guard start                         load or take over
//! guard selftest                      attack the canary
//! guard engine NAME                   executables of this name are databases
//! guard device MAJ:MIN free|protected [FLAGS]
//! guard char-majors [MAJ KIND]…        what character device majors pass through
//! guard tool PATH SOURCE GRANTS [VERB GRANTS any|all-listed]… [-- ARGUMENT…]
//!                                     the one tool there is; GRANTS in hexadecimal
//! guard enforce                       enforce every operation class
//! guard status                        state, counters, links
//! guard denials | lifecycle           print events and advance the ring
//! guard log SECONDS                   print diagnostics of an object built with the feature `diag`
//!                                     and loaded with DBGUARD_DIAG=4 in the environment
//! ```

use std::error::Error;
use std::os::linux::fs::MetadataExt;
use std::process::ExitCode;

use guard_abi::{
    ArgumentName, ArgumentRole, ArmWord, DeviceClass, DeviceEntry, DeviceKey, Engine, EngineName,
    ExeId, PassthroughKind, ToolRule, VerbKey, VerbRule, dev, verb_source,
};
use guard_user::kernel::{Event, EventRing, Guard, LOAD_VERB, load_child, probe};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if args.first() == Some(&LOAD_VERB) {
        return load_child();
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guard: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<(), Box<dyn Error>> {
    match args {
        ["probe"] => println!("{:#?}", probe()),
        ["start"] => println!("{:#?}", Guard::start()?.1),
        ["selftest"] => {
            let guard = Guard::open()?;
            let test = guard.self_test(&guard.links_intact()?.hooks)?;
            println!("{test:?} passed={}", test.passed());
        }
        ["engine", name] => {
            let mut key = EngineName { name: [0; 16] };
            let bytes = name.as_bytes();
            let length = bytes.len().min(15);
            key.name[..length].copy_from_slice(&bytes[..length]);
            Guard::open()?.set_engines(&[(key, Engine::Mysql)], &[])?;
        }
        ["device", number, class, flags @ ..] => {
            let class = DeviceClass::parse(class).ok_or("class is free or protected")?;
            let flags = flags
                .first()
                .map_or(Ok(0), |flags| u32::from_str_radix(flags, 16))?;
            set_device(&mut Guard::open()?, number_of(number)?, class, flags)?;
        }
        ["char-majors", pairs @ ..] => {
            let mut majors = Vec::new();
            for pair in pairs.chunks_exact(2) {
                let kind = PassthroughKind::parse(pair[1]).ok_or("no such kind")?;
                majors.push((pair[0].parse()?, kind));
            }
            Guard::open()?.set_char_majors(&majors, &[])?;
        }
        ["tool", path, source, grants, rest @ ..] => set_tool(path, source, grants, rest)?,
        ["enforce"] => {
            let guard = Guard::open()?;
            let mut policy = guard.policy()?;
            policy.enforced_ops = u32::MAX;
            guard.set_policy(&policy)?;
        }
        ["status"] => status(&Guard::open()?)?,
        // Sees events and dies before its records are durable.
        ["peekcrash"] => {
            let mut events = Vec::new();
            println!("peeked {}", Guard::open()?.denials()?.peek(64, &mut events));
            std::process::abort();
        }
        ["log", seconds] => log(seconds.parse()?)?,
        ["denials"] => drain(Guard::open()?.denials()?),
        ["lifecycle"] => drain(Guard::open()?.lifecycle()?),
        _ => return Err("see the top of examples/guard.rs for the verbs".into()),
    }
    Ok(())
}

/// Prints what `log` hands on.
struct Printer;

impl log::Log for Printer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("{} {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

fn log(seconds: u32) -> Result<(), Box<dyn Error>> {
    let program = aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.name_as_str() == Some("file_open"))
        .ok_or("the guard is not loaded")?;
    let mut lines = aya_log::EbpfLogger::init_from_id_with_logger(program.id(), Printer)?;
    for _ in 0..seconds {
        lines.flush();
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    lines.flush();
    Ok(())
}

fn number_of(text: &str) -> Result<u32, Box<dyn Error>> {
    let (major, minor) = text.split_once(':').ok_or("a device is MAJOR:MINOR")?;
    Ok(dev::make(major.parse()?, minor.parse()?))
}

/// Adds one device to those that are there.
fn set_device(
    guard: &mut Guard,
    number: u32,
    class: DeviceClass,
    flags: u32,
) -> Result<(), Box<dyn Error>> {
    let mut devices = guard.devices()?;
    devices.retain(|(key, _)| *key != DeviceKey::block(number));
    let entry = DeviceEntry {
        class: class as u32,
        flags,
        ..DeviceEntry::default()
    };
    devices.push((DeviceKey::block(number), entry));
    println!("{:?}", guard.sync_devices(&devices)?);
    Ok(())
}

fn set_tool(path: &str, source: &str, grants: &str, rest: &[&str]) -> Result<(), Box<dyn Error>> {
    const TOOL: u32 = 1;
    let file = std::fs::metadata(path)?;
    let number = file.st_dev();
    let exe = ExeId {
        ino: file.st_ino(),
        dev: dev::make(rustix::fs::major(number), rustix::fs::minor(number)),
        reserved: 0,
    };
    let verb_source = match source {
        "none" => verb_source::NONE,
        "multicall" => verb_source::MULTICALL,
        "first-word" => verb_source::FIRST_WORD,
        "any-argument" => verb_source::ANY_ARGUMENT,
        _ => return Err("no such verb source".into()),
    };
    let rule = ToolRule {
        tool: TOOL,
        grants: u32::from_str_radix(grants, 16)?,
        verb_source,
    };
    let (verbs, arguments) = match rest.iter().position(|word| *word == "--") {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &[][..]),
    };
    let mut verb_rules = Vec::new();
    for verb in verbs.chunks_exact(3) {
        let mut key = VerbKey {
            tool: TOOL,
            verb: [0; 28],
        };
        key.verb[..verb[0].len()].copy_from_slice(verb[0].as_bytes());
        let arguments = ArgumentRole::parse(verb[2]).ok_or("any, all-listed or options-listed")?;
        let grants = u32::from_str_radix(verb[1], 16)?;
        verb_rules.push((
            key,
            VerbRule {
                grants,
                arguments: arguments as u32,
                set: TOOL,
            },
        ));
    }
    let mut names = Vec::new();
    for argument in arguments {
        let mut name = ArgumentName {
            set: TOOL,
            text: [0; 124],
        };
        name.text[..argument.len()].copy_from_slice(argument.as_bytes());
        names.push(name);
    }
    Guard::open()?.set_tools(&[(exe, rule)], &verb_rules, &names)?;
    Ok(())
}

fn status(guard: &Guard) -> Result<(), Box<dyn Error>> {
    println!(
        "arm_gen={} device_gen={} enforcing={}",
        guard.arm_word(ArmWord::ArmGen)?,
        guard.arm_word(ArmWord::DeviceGen)?,
        guard.is_enforcing()?
    );
    println!("{:?}", guard.counters()?);
    println!("tasks {:?}", guard.tasks()?);
    let links = guard.links_intact()?;
    println!("route {:?}", links.route);
    for hook in links.hooks {
        println!(
            "  {} attached={} hole={} misses={:?}",
            hook.name,
            hook.attached,
            hook.is_hole(),
            hook.misses
        );
    }
    Ok(())
}

fn drain<E: Event + std::fmt::Debug>(mut ring: EventRing<E>) {
    let mut events = Vec::new();
    while ring.peek(64, &mut events) > 0 {
        ring.advance();
    }
    for event in events {
        println!("{event:?}");
    }
}
