use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Output;
use super::exit::{Exit, Failure, unexpected};
use crate::control::{self, Answer, Request};

/// Run one command under a grant
///
/// What the grant opens is open to this command and to what it starts, to nobody else, until the grant
/// ends. Ends with the command's own status; 126 or 127 where it could not be started.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The grant, such as G-19
    #[arg(long, value_name = "GRANT", value_parser = super::overrides::grant)]
    grant: u32,
    /// The command with its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let Some((name, arguments)) = args.command.split_first() else {
        return Err(Failure::new(Exit::USAGE, "no command"));
    };
    // Before a use is counted.
    let program = find(name, std::env::var_os("PATH").as_deref())
        .ok_or_else(|| Failure::new(Exit(127), format!("{}: no such command", name.display())))?;
    let command = args
        .command
        .iter()
        .map(|word| word.to_string_lossy().into_owned());
    let question = Request::OverrideUse {
        grant: args.grant,
        command: command.collect(),
    };
    match control::ask(&question)? {
        Answer::Done(_) => {}
        other => return Err(unexpected(other)),
    }
    // This process is known by its number: it must become the command, not start it.
    let error = Command::new(&program).arg0(name).args(arguments).exec();
    Err(Failure::new(
        Exit(126),
        format!(
            "{}: {error}; the use of G-{} is spent",
            program.display(),
            args.grant
        ),
    ))
}

/// As a shell does.
fn find(name: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    let is_program = |file: &Path| {
        file.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|file| is_program(file));
    }
    let path = path.unwrap_or(OsStr::new(
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ));
    std::env::split_paths(path)
        .map(|directory| directory.join(name))
        .find(|file| is_program(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_as_a_shell_finds_them() {
        let path = Some(OsStr::new("/nowhere:/bin"));
        assert_eq!(find(OsStr::new("sh"), path), Some("/bin/sh".into()));
        assert_eq!(find(OsStr::new("/bin/sh"), None), Some("/bin/sh".into()));
        assert_eq!(find(OsStr::new("no-such-command"), path), None);
        assert_eq!(find(OsStr::new("/etc/passwd"), path), None);
        assert_eq!(find(OsStr::new("/etc"), path), None);
    }
}
