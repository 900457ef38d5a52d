//! Drives the kernel half by hand, without the controller: for working on the programs in a guest.
//!
//! ```text
//! guard probe                         what the kernel can do
//! guard start                         load or take over
//! guard selftest                      attack the canary
//! guard engine NAME                   executables of this name are databases
//! guard device MAJ:MIN free|protected [FLAGS]
//! guard char-majors [MAJ KIND]…        what character device majors pass through
//! guard enforce                       enforce every operation class
//! guard status                        state, counters, links
//! guard denials | lifecycle           print events and advance the ring
//! ```

use std::error::Error;
use std::process::ExitCode;

use guard_abi::{
    ArmWord, DeviceClass, DeviceEntry, DeviceKey, Engine, EngineName, PassthroughKind, dev,
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
            let test = Guard::open()?.self_test()?;
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
            Guard::open()?.set_char_majors(&majors)?;
        }
        ["enforce"] => {
            let guard = Guard::open()?;
            let mut policy = guard.policy()?;
            policy.enforced_ops = u32::MAX;
            guard.set_policy(&policy)?;
        }
        ["status"] => status(&Guard::open()?)?,
        ["denials"] => drain(Guard::open()?.denials()?),
        ["lifecycle"] => drain(Guard::open()?.lifecycle()?),
        _ => return Err("see the top of examples/guard.rs for the verbs".into()),
    }
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

fn status(guard: &Guard) -> Result<(), Box<dyn Error>> {
    println!(
        "arm_gen={} device_gen={} enforcing={}",
        guard.arm_word(ArmWord::ArmGen)?,
        guard.arm_word(ArmWord::DeviceGen)?,
        guard.is_enforcing()?
    );
    println!("{:?}", guard.counters()?);
    println!("tasks {:?}", guard.tasks()?);
    for hook in guard.links_intact()? {
        println!(
            "  {} attached={} hole={}",
            hook.name,
            hook.attached,
            hook.is_hole()
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
