//! One controller at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::End;

/// Directory of what lives no longer than the boot.
pub const RUN: &str = "/run/dbguard";

/// Takes the lock; it is let go when the file is closed, however the process ends.
pub fn take() -> Result<File, End> {
    let fail = |error: &io::Error| {
        let (exit, next) = match error.kind() {
            io::ErrorKind::PermissionDenied => (77, "run it as root"),
            io::ErrorKind::WouldBlock => {
                (75, "another controller runs; see: systemctl status dbguard")
            }
            _ => (70, "mend /run"),
        };
        End {
            exit,
            message: format!("taking {RUN}/lock: {error}; {next}"),
        }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(RUN)
        .map_err(|error| fail(&error))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(Path::new(RUN).join("lock"))
        .map_err(|error| fail(&error))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| fail(&error.into()))?;
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| fail(&error))?;
    Ok(file)
}
