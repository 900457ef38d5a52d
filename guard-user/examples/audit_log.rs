//! Writes a log of made-up records, for measurements of its readers:
//! `cargo run --profile guest --features testing --example audit_log -- FILE RECORDS [SEED]`

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::Context;
use guard_user::audit::sample::{self, Sample};
use guard_user::audit::time::{NANOS, wall_ns};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("which file?")?;
    let count: usize = arguments.next().context("how many records?")?.parse()?;
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    // A record takes two seconds on average: the log ends about now.
    let start = wall_ns().saturating_sub(count as u64 * 2 * NANOS);
    let mut out = BufWriter::new(File::create(&path).with_context(|| path.clone())?);
    sample::write(&mut out, Sample::new(seed, start).take(count))?;
    out.flush()?;
    Ok(())
}
