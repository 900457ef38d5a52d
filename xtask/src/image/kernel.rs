//! Guest kernels: Debian's own packages with their own configuration, unpacked into the cache.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cache, cmd};

/// A kernel series that guests can boot. To add one, add a row to [`SERIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The name on the command line, such as `6.1`.
    pub name: &'static str,
    /// What stands before the point release in the package name.
    prefix: &'static str,
    /// What stands after it, before the flavour.
    suffix: &'static str,
}

/// The series of this version, oldest first.
pub const SERIES: &[Kernel] = &[
    Kernel {
        name: "6.1",
        prefix: "linux-image-6.1.0-",
        suffix: "",
    },
    Kernel {
        name: "6.12",
        prefix: "linux-image-6.12.",
        suffix: "+deb12",
    },
];

/// Which build of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `cloud-amd64`: small, boots fastest, has no IPMI drivers.
    Cloud,
    /// `amd64`: every driver.
    Plain,
}

impl Flavour {
    fn package_end(self) -> &'static str {
        match self {
            Self::Cloud => "-cloud-amd64",
            Self::Plain => "-amd64",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl std::str::FromStr for Kernel {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        SERIES
            .iter()
            .copied()
            .find(|kernel| kernel.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = SERIES.iter().map(|kernel| kernel.name).collect();
                format!(
                    "this version boots kernels {}, not {name}",
                    known.join(" and ")
                )
            })
    }
}

/// An unpacked kernel package.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// `uname -r` of the kernel.
    pub release: String,
    /// The package's tree: `boot/`, `lib/modules/`.
    pub tree: PathBuf,
}

impl Unpacked {
    /// The bootable image.
    pub fn vmlinuz(&self) -> PathBuf {
        self.tree.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// The directory of the modules.
    pub fn modules(&self) -> PathBuf {
        self.tree.join("lib/modules").join(&self.release)
    }
}

/// The cache key of a series and flavour. The point release is not in it: whichever was newest when
/// the slot was made stays, so that a run means the same tomorrow.
pub fn key(kernel: Kernel, flavour: Flavour) -> String {
    cache::key(&[
        "kernel 1",
        kernel.prefix,
        kernel.suffix,
        flavour.package_end(),
    ])
}

/// Gives the newest package of the series, unpacked; downloads it the first time.
pub fn ensure(kernel: Kernel, flavour: Flavour) -> Result<Unpacked> {
    let what = format!(
        "kernel {kernel}{}, downloading with apt-get",
        flavour.package_end()
    );
    let place = cache::ensure("kernels", &key(kernel, flavour), &what, |work| {
        let package = newest(kernel, flavour)?;
        let log = work.join("log");
        cmd::logged(
            Command::new("apt-get")
                .args(["download", &package])
                .current_dir(work),
            "downloading a guest kernel",
            &log,
        )?;
        let deb = fs::read_dir(work)
            .context("listing the download")?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ext| ext == "deb"))
            .with_context(|| format!("apt-get download {package} left no .deb file"))?;
        let tree = work.join("tree");
        cmd::logged(
            Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&tree),
            "unpacking a guest kernel",
            &log,
        )?;
        fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
        let release = package.trim_start_matches("linux-image-");
        cmd::logged(
            Command::new(cmd::which("depmod").unwrap_or_else(|| "depmod".into()))
                .arg("-b")
                .arg(&tree)
                .arg(release),
            "indexing a guest kernel's modules",
            &log,
        )?;
        fs::write(work.join("release"), release).context("writing the kernel's release name")
    })?;
    unpacked(&place)
}

fn unpacked(place: &Path) -> Result<Unpacked> {
    let file = place.join("release");
    let release = fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}: remove {}", file.display(), place.display()))?;
    Ok(Unpacked {
        release: release.trim().to_owned(),
        tree: place.join("tree"),
    })
}

/// The package with the highest point release that apt knows.
fn newest(kernel: Kernel, flavour: Flavour) -> Result<String> {
    let names = cmd::capture(
        Command::new("apt-cache").args(["pkgnames", kernel.prefix]),
        "looking for guest kernels",
    )?;
    let Some(name) = pick(&names, kernel, flavour) else {
        bail!(
            "apt knows no package {}*{}{}: run apt-get update with Debian 12 (bookworm) and its \
             security updates among the sources",
            kernel.prefix,
            kernel.suffix,
            flavour.package_end()
        );
    };
    Ok(name.to_owned())
}

fn pick(names: &str, kernel: Kernel, flavour: Flavour) -> Option<&str> {
    let end = format!("{}{}", kernel.suffix, flavour.package_end());
    names
        .lines()
        .filter_map(|name| {
            let point = name.strip_prefix(kernel.prefix)?.strip_suffix(&end)?;
            point.parse::<u32>().ok().map(|point| (point, name))
        })
        .max()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "linux-image-6.1.0-9-cloud-amd64\nlinux-image-6.1.0-47-cloud-amd64\n\
        linux-image-6.1.0-48-amd64\nlinux-image-6.1.0-50-rt-amd64\n\
        linux-image-6.12-cloud-amd64\nlinux-image-6.12.100+deb12-cloud-amd64\n\
        linux-image-6.12.99+deb12-cloud-amd64\nlinux-image-6.12.120-cloud-amd64\n";

    #[test]
    fn pick_takes_the_highest_number_of_the_flavour() {
        let picked = |name: &str, flavour| pick(NAMES, name.parse().unwrap(), flavour);
        assert_eq!(
            picked("6.1", Flavour::Cloud),
            Some("linux-image-6.1.0-47-cloud-amd64")
        );
        assert_eq!(
            picked("6.1", Flavour::Plain),
            Some("linux-image-6.1.0-48-amd64")
        );
        assert_eq!(
            picked("6.12", Flavour::Cloud),
            Some("linux-image-6.12.100+deb12-cloud-amd64")
        );
        assert_eq!(picked("6.12", Flavour::Plain), None);
    }

    #[test]
    fn keys_differ_by_series_and_flavour() {
        let six_one: Kernel = "6.1".parse().unwrap();
        let six_twelve: Kernel = "6.12".parse().unwrap();
        assert_ne!(key(six_one, Flavour::Cloud), key(six_one, Flavour::Plain));
        assert_ne!(
            key(six_one, Flavour::Cloud),
            key(six_twelve, Flavour::Cloud)
        );
        assert!("5.10".parse::<Kernel>().is_err());
    }
}
