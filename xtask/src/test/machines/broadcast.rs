//! One signed request sent to several machines, as a hurried `dsh` would: the machine that made it
//! opens what it says, once; each of the others refuses it for a reason of its own, and loses nothing.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Result, ensure};

use super::{IN_GUEST, Show, guest, script};
use crate::guest::Guest;
use crate::test::matrix::Configuration;

/// Every machine is one of the same image: a clone, but for what is said here.
const MACHINE_ID: &str = "5f0e8c2b7d9a4f6e8b1c3d5a7f9e0b2d";
const OTHER_ID: &str = "0b2d5f0e8c2b7d9a4f6e8b1c3d5a7f9e";

/// The name, the machine-id, and why it refuses.
const OTHERS: [(&str, &str, &str, &str); 3] = [
    (
        "another-host",
        "db2",
        MACHINE_ID,
        "signed for db1, this is db2",
    ),
    (
        "another-machine-of-the-name",
        "db1",
        OTHER_ID,
        "another machine of the name db1",
    ),
    (
        "a-clone",
        "db1",
        MACHINE_ID,
        "signed for an earlier boot of db1",
    ),
];

pub(super) fn perform(on: Configuration, show: &mut Show<'_>) {
    let files = match own(on) {
        Ok(files) => {
            show("own-host", Ok(()));
            files
        }
        Err(why) => {
            show("own-host", Err(why));
            return;
        }
    };
    // Two at a time. A thread each: QEMU is tied to the life of the thread that starts it.
    for pair in OTHERS.chunks(2) {
        let files = &files;
        let results: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = pair
                .iter()
                .map(|other| (other.0, scope.spawn(move || refused_by(on, other, files))))
                .collect();
            let ended = |(case, handle): (_, thread::ScopedJoinHandle<'_, Result<()>>)| {
                let panicked = || Err(anyhow::anyhow!("the thread of this guest panicked"));
                (case, handle.join().unwrap_or_else(|_| panicked()))
            };
            started.into_iter().map(ended).collect()
        });
        for (case, result) in results {
            show(case, result);
        }
    }
}

fn named(on: Configuration, name: &str, id: &str) -> Result<Guest> {
    Ok(guest(on)?
        .hostname(name)
        .append(&format!("systemd.machine_id={id}")))
}

/// Makes the token and uses it; gives the files that make it up.
fn own(on: Configuration) -> Result<BTreeMap<String, String>> {
    let output = run(named(on, "db1", MACHINE_ID)?, "broadcast-own.sh", &[])?;
    let files = received(&output);
    for name in ["signers", "r.txt", "r.txt.sig"] {
        ensure!(
            files.contains_key(name),
            "the machine sent no {name}: {output}"
        );
    }
    Ok(files)
}

fn refused_by(
    on: Configuration,
    (_, name, id, reason): &(&str, &str, &str, &str),
    files: &BTreeMap<String, String>,
) -> Result<()> {
    let mut guest = named(on, name, id)?;
    for (file, content) in files {
        let path = format!("{IN_GUEST}/{file}");
        guest = guest.file(&path, 0o644, content.as_bytes());
    }
    run(guest, "broadcast-other.sh", &[reason]).map(drop)
}

fn run(guest: Guest, name: &str, args: &[&str]) -> Result<String> {
    let mut machine = guest.prepare()?;
    let script = script(name)?.args(args);
    let mut output = Vec::new();
    let outcome = machine.run(&script, &mut |bytes| output.extend_from_slice(bytes))?;
    let text = String::from_utf8_lossy(&output).into_owned();
    ensure!(outcome.status == 0, "ended with {}: {text}", outcome.status);
    Ok(text)
}

/// The files between `@begin NAME` and `@end`.
fn received(output: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for line in output.lines() {
        if let Some(name) = line.strip_prefix("@begin ") {
            open = Some((name.to_owned(), String::new()));
        } else if line == "@end" {
            files.extend(open.take());
        } else if let Some((_, content)) = &mut open {
            content.push_str(line);
            content.push('\n');
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_stands_between() {
        let files = received("x\n@begin a\n1\n2\n@end\ny\n@begin b\n@end\n@begin c\n3\n");
        assert_eq!(files.len(), 2);
        assert_eq!(files["a"], "1\n2\n");
        assert_eq!(files["b"], "");
    }
}
