//! Measures, inside a guest whose clock counts instructions, what operations cost.
//!
//! Lines for `cargo xtask bench`: `@cost CONFIGURATION OPERATION LEAST MEDIAN`, in instructions
//! for one operation; `@NAME LEAST` for one that is refused.

mod empty;
mod fill;
mod operations;
mod sample;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: guest-bench measure CONFIGURATION
       guest-bench with-empty OBJECT ROUTE CONFIGURATION
       guest-bench refused DEVICE NAME
       guest-bench fill COUNT";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    match args {
        ["measure", configuration] => measure(configuration),
        ["with-empty", object, route, configuration] => {
            let attached = empty::attach(object, route)?;
            eprintln!(
                "guest-bench: empty programs on {}",
                attached.hooks().join(", ")
            );
            let result = measure(configuration);
            drop(attached);
            result
        }
        ["refused", device, name] => {
            let cost = sample::cost(&mut operations::refused((*device).into()))
                .with_context(|| format!("measuring what is refused on {device}"))?;
            println!("@{name} {:.1}", cost.least);
            Ok(())
        }
        ["fill", count] => fill::run(count.parse().context("COUNT is a number")?),
        _ => bail!("{USAGE}"),
    }
}

fn measure(configuration: &str) -> Result<()> {
    for mut operation in operations::all()? {
        let cost = sample::cost(&mut operation)
            .with_context(|| format!("measuring {}", operation.name))?;
        println!(
            "@cost {configuration} {} {:.1} {:.1}",
            operation.name, cost.least, cost.median
        );
    }
    Ok(())
}
