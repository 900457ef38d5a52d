//! Guest kernels: Debian's own packages with their own configuration, unpacked into the cache.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup::apt::{Apt, Sibling};
use crate::{cache, cmd};

/// A kernel series that guests can boot. To add one, add a row to [`SERIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The name on the command line, such as `6.1`.
    pub name: &'static str,
    /// Whether `bpf` is in the list of LSMs that this kernel has without a `lsm=` parameter.
    pub bpf_is_lsm: bool,
    /// What the names of its packages begin with; the rest is the same in all.
    packages: &'static [&'static str],
    /// What stands before the point release, without [`Kernel::packages`].
    series: &'static str,
    /// What stands after it, before the flavour.
    suffix: &'static str,
    /// Where its packages come from; empty for the machine's own release.
    siblings: &'static [Sibling],
}

/// One package with everything, as Debian had it up to 7.1.
const WHOLE: &[&str] = &["linux-image-"];

/// The parts it was split into; `linux-image-*` depends on them and is empty.
const PARTS: &[&str] = &["linux-modules-", "linux-binary-", "linux-base-"];

/// The series of this version, oldest first.
pub const SERIES: &[Kernel] = &[
    Kernel {
        name: "5.10",
        bpf_is_lsm: false,
        packages: WHOLE,
        series: "5.10.0-",
        suffix: "",
        siblings: &[
            ("bookworm", "bullseye"),
            ("bookworm-security", "bullseye-security"),
        ],
    },
    Kernel {
        name: "6.1",
        bpf_is_lsm: true,
        packages: WHOLE,
        series: "6.1.0-",
        suffix: "",
        siblings: &[],
    },
    Kernel {
        name: "6.12",
        bpf_is_lsm: true,
        packages: WHOLE,
        series: "6.12.",
        suffix: "+deb12",
        siblings: &[],
    },
    Kernel {
        name: "7",
        bpf_is_lsm: true,
        packages: PARTS,
        series: "7.",
        suffix: "+deb13",
        siblings: &[("bookworm", "trixie-backports")],
    },
];

/// The series of Debian 12's own, which a run without a choice boots.
pub fn usual() -> impl Iterator<Item = Kernel> {
    SERIES
        .iter()
        .copied()
        .filter(|kernel| kernel.siblings.is_empty())
}

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
                    known.join(", ")
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
    let prefix = format!("{}{}", kernel.packages[0], kernel.series);
    cache::key(&["kernel 1", &prefix, kernel.suffix, flavour.package_end()])
}

/// Gives the newest packages of the series, unpacked; downloads them the first time.
pub fn ensure(kernel: Kernel, flavour: Flavour) -> Result<Unpacked> {
    let what = format!(
        "kernel {kernel}{}, downloading with apt-get",
        flavour.package_end()
    );
    let place = cache::ensure("kernels", &key(kernel, flavour), &what, |work| {
        let log = work.join("log");
        let private = work.join("apt");
        let apt = if kernel.siblings.is_empty() {
            Apt::own(&log)?
        } else {
            Apt::private(&private, kernel.siblings, &log)?
        };
        let release = newest(&apt, kernel, flavour)?;
        let packages: Vec<String> = kernel
            .packages
            .iter()
            .map(|part| format!("{part}{release}"))
            .collect();
        let tree = work.join("tree");
        apt.unpack(&packages, work, &tree)?;
        if private.exists() {
            fs::remove_dir_all(&private).context("cannot remove apt's lists")?;
        }
        settle(&tree, &release)?;
        cmd::logged(
            Command::new(cmd::which("depmod").unwrap_or_else(|| "depmod".into()))
                .arg("-b")
                .arg(&tree)
                .arg(&release),
            "indexing a guest kernel's modules",
            &log,
        )?;
        fs::write(work.join("release"), release).context("writing the kernel's release name")
    })?;
    unpacked(&place)
}

/// Puts the files of a split package where the whole one has them: modules in `lib/modules`, the
/// image and its configuration in `boot` too, where its own installation copies them.
fn settle(tree: &Path, release: &str) -> Result<()> {
    let split = tree.join("usr/lib/modules");
    if !split.is_dir() {
        return Ok(());
    }
    let (lib, boot) = (tree.join("lib"), tree.join("boot"));
    for dir in [&lib, &boot] {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    fs::rename(&split, lib.join("modules")).context("cannot move the modules")?;
    for name in ["vmlinuz", "config"] {
        let from = lib.join("modules").join(release).join(name);
        fs::copy(&from, boot.join(format!("{name}-{release}")))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
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

/// The highest release that apt has every package of.
fn newest(apt: &Apt, kernel: Kernel, flavour: Flavour) -> Result<String> {
    let mut names = BTreeSet::new();
    for part in kernel.packages {
        names.extend(apt.names(&format!("{part}{}", kernel.series))?);
    }
    let Some(release) = pick(&names, kernel, flavour) else {
        bail!(
            "apt knows no package {}{}*{}{}: it needs Debian 12 (bookworm) and its security updates \
             among its sources",
            kernel.packages[0],
            kernel.series,
            kernel.suffix,
            flavour.package_end()
        );
    };
    Ok(release)
}

/// The highest release of which every package is among `names`: what is superseded loses its parts
/// one after another.
fn pick(names: &BTreeSet<String>, kernel: Kernel, flavour: Flavour) -> Option<String> {
    let end = format!("{}{}", kernel.suffix, flavour.package_end());
    names
        .iter()
        .filter_map(|name| {
            let release = name.strip_prefix(kernel.packages[0])?;
            let point = release.strip_prefix(kernel.series)?.strip_suffix(&end)?;
            let point: Option<Vec<u32>> = point.split('.').map(|part| part.parse().ok()).collect();
            Some((point?, release))
        })
        .filter(|(_, release)| {
            let has = |part: &&str| names.contains(&format!("{part}{release}"));
            kernel.packages.iter().all(has)
        })
        .max()
        .map(|(_, release)| release.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &[
        "linux-image-6.1.0-9-cloud-amd64",
        "linux-image-6.1.0-47-cloud-amd64",
        "linux-image-6.1.0-48-amd64",
        "linux-image-6.1.0-50-rt-amd64",
        "linux-image-6.1.0-0.deb11.51-cloud-amd64",
        "linux-image-6.12-cloud-amd64",
        "linux-image-6.12.100+deb12-cloud-amd64",
        "linux-image-6.12.99+deb12-cloud-amd64",
        "linux-image-6.12.120-cloud-amd64",
        "linux-binary-7.1.9+deb13-cloud-amd64",
        "linux-modules-7.1.9+deb13-cloud-amd64",
        "linux-base-7.1.9+deb13-cloud-amd64",
        "linux-binary-7.1.13+deb13-cloud-amd64",
        "linux-modules-7.1.13+deb13-cloud-amd64",
        "linux-base-7.1.13+deb13-cloud-amd64",
        "linux-binary-7.3.4+deb13-cloud-amd64",
        "linux-base-7.3.4+deb13-cloud-amd64",
    ];

    #[test]
    fn pick_takes_the_highest_whole_release_of_the_flavour() {
        let names: BTreeSet<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
        let picked = |name: &str, flavour| pick(&names, name.parse().unwrap(), flavour);
        let is = |release: &str| Some(release.to_owned());
        assert_eq!(picked("6.1", Flavour::Cloud), is("6.1.0-47-cloud-amd64"));
        assert_eq!(picked("6.1", Flavour::Plain), is("6.1.0-48-amd64"));
        assert_eq!(
            picked("6.12", Flavour::Cloud),
            is("6.12.100+deb12-cloud-amd64")
        );
        assert_eq!(picked("6.12", Flavour::Plain), None);
        assert_eq!(picked("7", Flavour::Cloud), is("7.1.13+deb13-cloud-amd64"));
        assert_eq!(picked("5.10", Flavour::Cloud), None);
    }

    #[test]
    fn keys_differ_by_series_and_flavour() {
        let mut keys = BTreeSet::new();
        for kernel in SERIES {
            for flavour in [Flavour::Cloud, Flavour::Plain] {
                assert!(keys.insert(key(*kernel, flavour)), "{kernel} {flavour:?}");
            }
        }
        assert!("5.9".parse::<Kernel>().is_err());
    }

    #[test]
    fn split_packages_end_up_where_whole_ones_lie() {
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().join("usr/lib/modules/7.9-x");
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("vmlinuz"), "image").unwrap();
        fs::write(modules.join("config"), "config").unwrap();
        settle(dir.path(), "7.9-x").unwrap();
        let unpacked = Unpacked {
            release: "7.9-x".into(),
            tree: dir.path().to_path_buf(),
        };
        assert_eq!(fs::read(unpacked.vmlinuz()).unwrap(), b"image");
        assert!(unpacked.modules().join("vmlinuz").exists());
        settle(dir.path(), "7.9-x").unwrap();
    }
}
