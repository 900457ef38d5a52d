//! `cargo xtask package`: Debian packages come in a later version.

use std::fmt;

/// A verb that this version does not have.
#[derive(Debug)]
pub struct NotYet(&'static str);

impl fmt::Display for NotYet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotYet {}

/// Says so.
pub fn run() -> anyhow::Result<()> {
    Err(NotYet(
        "packages are not part of this version: README.md says how to install by hand what \
         `cargo xtask build --release` makes",
    )
    .into())
}
