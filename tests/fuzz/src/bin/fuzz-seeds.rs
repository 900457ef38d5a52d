//! `fuzz-seeds TARGET DIRECTORY`: writes what a target begins with.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use guard_user::grant::testing::Target;

fn main() -> Result<()> {
    let mut words = env::args().skip(1);
    let usage = "usage: fuzz-seeds TARGET DIRECTORY";
    let name = words.next().context(usage)?;
    let directory = PathBuf::from(words.next().context(usage)?);
    let target = Target::ALL
        .into_iter()
        .find(|target| target.name() == name)
        .with_context(|| format!("{name} is no fuzz target"))?;
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for (name, bytes) in target.seeds() {
        let path = directory.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
