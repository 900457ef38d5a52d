//! The fuzz targets' beginnings, and what was found with them, once each with ssh-keygen as the
//! reference. `cargo xtask fuzz` goes on from there, with OpenSSH linked in.

use std::fs;
use std::path::Path;

use super::super::testing::Target;
use super::Oracle;

/// What is kept of a target's corpus.
fn kept(target: Target) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fuzz/corpus")
        .join(target.name());
    let mut files = Vec::new();
    for entry in fs::read_dir(&directory).into_iter().flatten() {
        let path = entry.expect("an entry of the corpus").path();
        let bytes = fs::read(&path).expect("a file of the corpus");
        files.push((path.display().to_string(), bytes));
    }
    files
}

pub(super) fn replay(oracle: &Oracle) {
    for target in Target::ALL {
        let seeds = target.seeds();
        assert!(!seeds.is_empty(), "{} begins with nothing", target.name());
        for (name, bytes) in seeds.into_iter().chain(kept(target)) {
            if let Err(how) = target.run(&bytes, oracle) {
                panic!("{}, {name}: {how}", target.name());
            }
        }
    }
}
