//! Packages of Debian releases that this machine does not run, without a word in its own apt
//! configuration: a private set of sources, lists and cache, derived from the machine's sources, so
//! that a mirror or a proxy set up for the machine serves these too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd;

/// Where Debian 12 keeps the keys of every release it knows of, past and next ones included.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A suite of the machine's own archive, and the suite wanted from the same place.
pub type Sibling = (&'static str, &'static str);

/// What a sources file calls it, and the lists that are needed of it.
type Kind = (&'static str, &'static str);
const BINARY: Kind = ("deb", "Packages");
const SOURCE: Kind = ("deb-src", "Sources");

/// An apt that knows only the suites it was made for.
pub struct Apt {
    /// Its directory; `None` is the machine's own apt.
    dir: Option<PathBuf>,
    log: PathBuf,
}

impl Apt {
    /// The machine's own apt, its lists fetched if they are not there.
    pub fn own(log: &Path) -> Result<Self> {
        if archives()?.is_empty() {
            let mut update = Command::new("apt-get");
            cmd::logged(update.arg("update"), "fetching apt's lists", log)?;
        }
        Ok(Self {
            dir: None,
            log: log.to_path_buf(),
        })
    }

    /// An apt in `dir` with `siblings` of the machine's own suites, its lists fetched.
    pub fn private(dir: &Path, siblings: &[Sibling], log: &Path) -> Result<Self> {
        Self::of(dir, BINARY, siblings, log)
    }

    /// An apt in `dir` with the sources of the machine's own `suites`.
    pub fn of_sources(dir: &Path, suites: &[&'static str], log: &Path) -> Result<Self> {
        let own: Vec<Sibling> = suites.iter().map(|&suite| (suite, suite)).collect();
        Self::of(dir, SOURCE, &own, log)
    }

    fn of(dir: &Path, kind: Kind, siblings: &[Sibling], log: &Path) -> Result<Self> {
        let own = Self::own(log)?;
        let sources = sources(&archives()?, kind, siblings);
        if sources.is_empty() {
            let wanted: Vec<&str> = siblings.iter().map(|(own, _)| *own).collect();
            bail!(
                "none of this machine's apt sources is Debian's own {}",
                wanted.join(" or ")
            );
        }
        for part in ["lists/partial", "cache/archives/partial", "parts"] {
            let path = dir.join(part);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
        fs::write(dir.join("parts/guests.sources"), sources).context("cannot write sources")?;
        let apt = Self {
            dir: Some(dir.to_path_buf()),
            ..own
        };
        cmd::logged(
            apt.command("apt-get").arg("update"),
            "fetching the lists of another Debian release",
            log,
        )?;
        Ok(apt)
    }

    /// The names of the packages that begin with `prefix`.
    pub fn names(&self, prefix: &str) -> Result<BTreeSet<String>> {
        let names = cmd::capture(
            self.command("apt-cache").args(["pkgnames", prefix]),
            "looking for packages",
        )?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Downloads `packages` and unpacks them, one over the other, into `tree`.
    pub fn unpack(&self, packages: &[String], work: &Path, tree: &Path) -> Result<()> {
        let debs = work.join("debs");
        fs::create_dir_all(&debs).with_context(|| format!("cannot create {}", debs.display()))?;
        cmd::logged(
            self.command("apt-get")
                .arg("download")
                .args(packages)
                .current_dir(&debs),
            "downloading packages",
            &self.log,
        )?;
        let mut found = 0;
        for entry in fs::read_dir(&debs).context("listing the download")? {
            let deb = entry.context("listing the download")?.path();
            cmd::logged(
                Command::new("dpkg-deb").arg("-x").arg(&deb).arg(tree),
                "unpacking a package",
                &self.log,
            )?;
            found += 1;
        }
        if found != packages.len() {
            bail!("apt-get download {} left {found} files", packages.join(" "));
        }
        fs::remove_dir_all(&debs).with_context(|| format!("cannot remove {}", debs.display()))
    }

    /// Downloads the newest source of `package`; gives the files, in `work`.
    pub fn source(&self, package: &str, work: &Path) -> Result<Vec<PathBuf>> {
        let files = work.join("source");
        fs::create_dir_all(&files).with_context(|| format!("cannot create {}", files.display()))?;
        cmd::logged(
            self.command("apt-get")
                .args(["source", "--download-only", package])
                .current_dir(&files),
            "downloading a source package",
            &self.log,
        )?;
        fs::read_dir(&files)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .context("listing the download")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // What is fetched lies in a directory of this user's, which apt's own user may not enter.
        command.args(["-o", "APT::Sandbox::User=root"]);
        if let Some(dir) = &self.dir {
            for (setting, value) in [
                ("Dir::Etc::sourcelist", PathBuf::from("/dev/null")),
                ("Dir::Etc::sourceparts", dir.join("parts")),
                ("Dir::State::lists", dir.join("lists")),
                ("Dir::Cache", dir.join("cache")),
            ] {
                command
                    .arg("-o")
                    .arg(format!("{setting}={}", value.display()));
            }
        }
        command
    }
}

/// The archives of Debian's own that the machine uses: address and suite.
fn archives() -> Result<Vec<(String, String)>> {
    let text = cmd::capture(
        Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE)",
            "Created-By: Packages",
            "Origin: Debian",
            "Component: main",
        ]),
        "reading apt's sources",
    )?;
    let pair = |line: &str| {
        let (address, suite) = line.split_once(' ')?;
        Some((address.to_owned(), suite.to_owned()))
    };
    Ok(text.lines().filter_map(pair).collect())
}

/// A sources file (sources.list(5), deb822 style) with the siblings of `archives`.
fn sources(archives: &[(String, String)], (kind, lists): Kind, siblings: &[Sibling]) -> String {
    let mut text = String::new();
    for (address, suite) in archives {
        for (_, wanted) in siblings.iter().filter(|(own, _)| own == suite) {
            // Infallible: a String takes every write.
            let _ = write!(
                text,
                "Types: {kind}\nURIs: {address}\nSuites: {wanted}\nComponents: main\nTargets: {lists}\n"
            );
            if Path::new(KEYRING).exists() {
                let _ = writeln!(text, "Signed-By: {KEYRING}");
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_come_from_where_the_machine_gets_its_own() {
        let archives = [
            ("http://a.example/debian/".to_owned(), "bookworm".to_owned()),
            (
                "http://a.example/debian/".to_owned(),
                "bookworm-updates".to_owned(),
            ),
            (
                "http://b.example/sec/".to_owned(),
                "bookworm-security".to_owned(),
            ),
        ];
        let text = sources(
            &archives,
            BINARY,
            &[
                ("bookworm", "bullseye"),
                ("bookworm-security", "bullseye-security"),
            ],
        );
        assert!(text.contains("URIs: http://a.example/debian/\nSuites: bullseye\n"));
        assert!(text.contains("URIs: http://b.example/sec/\nSuites: bullseye-security\n"));
        assert_eq!(text.matches("Types: deb\n").count(), 2);
        assert_eq!(sources(&archives, BINARY, &[("sid", "sid")]), "");
    }
}
