//! The files of one run: the script, the freshly built programs, what depends on the database and
//! on the guard's mode.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use super::initrd::Payload;
use super::{Firmware, Guard, Script, Spec};
use crate::image::root::Db;
use crate::{build, paths};

/// The units of the two databases.
const UNITS: &[(Db, &str)] = &[
    (Db::Mariadb, "mariadb.service"),
    (Db::Postgres, "postgresql.service"),
];

/// Files of guard-user/dist that a package installs as they are, and where: docs/operations/install.md
/// installs the same by hand.
const DIST: &[(&str, &str)] = &[
    ("dbguard.service", "/usr/lib/systemd/system"),
    ("90-dbguard.rules", "/usr/lib/udev/rules.d"),
];

/// Collects what the run brings into its guest.
pub fn make(spec: &Spec, script: &Script, nonce: &str) -> Result<Payload> {
    let mut payload = Payload::default();
    let env = format!(
        "NONCE={nonce}\nGUARD={}\nROUTE={}\nDB={}\nSHELL_WANTED={}\n",
        spec.guard.name(),
        spec.route,
        spec.db.name(),
        u8::from(spec.shell)
    );
    payload.file("/usr/lib/guest/env", 0o600, env);
    payload.file("/usr/lib/guest/script", 0o755, script.content.clone());
    let mut args = Vec::new();
    for arg in &script.args {
        args.extend_from_slice(arg.as_bytes());
        args.push(0);
    }
    payload.file("/usr/lib/guest/args", 0o644, args);
    payload.file("/etc/hostname", 0o644, format!("{}\n", spec.hostname));
    payload.file(
        "/etc/hosts",
        0o644,
        format!("127.0.0.1 localhost {}\n", spec.hostname),
    );
    payload.file("/etc/fstab", 0o644, fstab(spec.db, spec.firmware));
    if spec.bmc {
        let modules = "ipmi_si\nipmi_devintf\n";
        payload.file("/etc/modules-load.d/bmc.conf", 0o644, modules);
    }
    for (db, unit) in UNITS {
        if *db != spec.db {
            payload.symlink(&format!("/etc/systemd/system/{unit}"), "/dev/null");
        }
    }
    programs(&mut payload)?;
    guard(&mut payload, spec)?;
    for file in &spec.files {
        payload.file(&file.path, file.mode, file.content.clone());
    }
    Ok(payload)
}

fn fstab(db: Db, firmware: Firmware) -> String {
    let mut table = String::from("# made for this run\n");
    // Infallible: a String takes every write.
    let _ = writeln!(
        table,
        "/dev/disk/by-role/data-part1 {} ext4 noatime,x-systemd.device-timeout=240 0 0",
        db.mount_point()
    );
    if firmware == Firmware::Efi {
        table += "/dev/disk/by-role/root-part2 /boot/efi vfat umask=0077,x-systemd.device-timeout=240 0 0\n";
    }
    table
}

/// The programs built from this checkout, those that are there. Their directory is last on the
/// script's path: a test's stand-in never hides a real tool.
fn programs(payload: &mut Payload) -> Result<()> {
    for (name, path) in build::guest_programs()? {
        if path.is_file() {
            payload.copy(&format!("/usr/lib/guest/bin/{name}"), &path)?;
        }
    }
    Ok(())
}

/// Installs the guard as its package would, with this run's mode.
fn guard(payload: &mut Payload, spec: &Spec) -> Result<()> {
    let program = spec.dbguard.clone().unwrap_or_else(build::dbguard);
    if program.is_file() {
        payload.copy("/usr/sbin/dbguard", &program)?;
    }
    let mode = if spec.guard == Guard::Observe {
        "observe"
    } else {
        "enforce"
    };
    payload.file(
        "/etc/dbguard/dbguard.toml",
        0o644,
        format!("mode = \"{mode}\"\n"),
    );
    for (name, directory) in DIST {
        let file = paths::root().join("guard-user/dist").join(name);
        payload.copy(&format!("{directory}/{name}"), &file)?;
    }
    let unit = paths::root().join("guard-user/dist/dbguard.service");
    let text =
        fs::read_to_string(&unit).with_context(|| format!("cannot read {}", unit.display()))?;
    if spec.guard != Guard::Off {
        for target in wanted_by(&text) {
            payload.symlink(
                &format!("/etc/systemd/system/{target}.wants/dbguard.service"),
                "/usr/lib/systemd/system/dbguard.service",
            );
        }
    }
    Ok(())
}

/// The targets that a unit file's `[Install]` section names, as `systemctl enable` reads it.
fn wanted_by(unit: &str) -> Vec<&str> {
    unit.lines()
        .filter_map(|line| line.strip_prefix("WantedBy="))
        .flat_map(str::split_whitespace)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn install_section_is_read() {
        assert_eq!(
            wanted_by("[Install]\nWantedBy=a.target b.target\n"),
            ["a.target", "b.target"]
        );
        assert!(wanted_by("[Unit]\nAfter=x\n").is_empty());
    }

    #[test]
    fn fstab_mounts_the_data_disk_where_the_server_keeps_its_files() {
        assert!(fstab(Db::Mariadb, Firmware::Bios).contains("data-part1 /var/lib/mysql ext4"));
        assert!(fstab(Db::Postgres, Firmware::Efi).contains("data-part1 /var/lib/postgresql ext4"));
    }
}
