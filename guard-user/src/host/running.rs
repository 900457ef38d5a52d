//! Maintenance programs that were started before the kernel half was loaded: it gives grants at
//! exec, so these have none. Without them `smartd` and `dmeventd` would be refused their next open,
//! and `mdmon` the metadata that it has held open since boot.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use guard_abi::{ArgumentRole, ExeId, ToolRule, tool_grant};

use super::exe::exe_id;
use super::process::{start_boot_ns, words};
use super::tools::{ToolTable, Verbs};
use super::verbs::Verb;
use crate::topology::{MountTable, Roots};

/// A maintenance program that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningTool {
    /// Process id.
    pub pid: u32,
    /// Bits of [`tool_grant`].
    pub grants: u32,
    /// Start, ns of CLOCK_BOOTTIME, to the tick.
    pub start_boot_ns: u64,
}

/// Every one that has a grant. `rules` are what the kernel half was told
/// ([`super::ResolvedTools::rules`]).
pub fn running_tools(
    roots: &Roots,
    mounts: &MountTable,
    table: &ToolTable,
    rules: &[(ExeId, ToolRule)],
) -> Vec<RunningTool> {
    let entries = std::fs::read_dir(&roots.proc).into_iter().flatten();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| {
            let start_boot_ns = start_boot_ns(roots, pid)?;
            let grants = grants_of(roots, mounts, table, rules, pid)?;
            Some(RunningTool {
                pid,
                grants,
                start_boot_ns,
            })
        })
        .collect()
}

fn grants_of(
    roots: &Roots,
    mounts: &MountTable,
    table: &ToolTable,
    rules: &[(ExeId, ToolRule)],
    pid: u32,
) -> Option<u32> {
    let dir = roots.proc.join(pid.to_string());
    let exe = dir.join("exe");
    let path = std::fs::read_link(&exe).ok()?;
    let base = path.file_name().and_then(OsStr::to_str)?;
    let arguments = || words(&dir.join("cmdline"));
    if base == "mdmon" && table.tools().iter().any(|tool| tool.file == base) {
        return is_from_initrd(&arguments(), &exe)
            .then_some(tool_grant::MD_MEMBER)
            .or_else(|| rule_of(mounts, rules, &exe, &path).map(|rule| rule.grants));
    }
    let rule = rule_of(mounts, rules, &exe, &path)?;
    let tool = table
        .tools()
        .get(usize::try_from(rule.tool).ok()?.checked_sub(1)?)?;
    let grants = match tool.verbs {
        Verbs::Always(grants) => grants,
        verbs => by_command_line(verbs, &tool.file, &arguments()),
    };
    (grants != 0).then_some(grants)
}

/// The rule of an executable by its identity, as the kernel half would find it.
fn rule_of(
    mounts: &MountTable,
    rules: &[(ExeId, ToolRule)],
    exe: &Path,
    path: &Path,
) -> Option<ToolRule> {
    let inode = std::fs::metadata(exe).ok()?.ino();
    // Most processes end here.
    if !rules.iter().any(|(id, _)| id.ino == inode) {
        return None;
    }
    let id = exe_id(mounts, path).ok()?;
    let rule = rules
        .iter()
        .find(|(known, _)| *known == id && id.ino == inode);
    rule.map(|(_, rule)| *rule)
}

/// `mdmon` for the root file system is started in the initial RAM disk, whose files have no place
/// in the host's own tree, and says so by its first argument (systemd, ROOT_STORAGE_DAEMONS).
fn is_from_initrd(arguments: &[String], exe: &Path) -> bool {
    let marked = arguments.first().is_some_and(|name| name.starts_with('@'));
    marked && std::fs::metadata(exe).is_ok_and(|file| file.uid() == 0)
}

/// Grants by the verb. Those that depend on what else the command line says are not given: the
/// program has begun before anybody could judge it.
fn by_command_line(verbs: Verbs, file: &str, arguments: &[String]) -> u32 {
    let granted = |verbs: &[Verb], word: &str| {
        verbs
            .iter()
            .filter(|verb| verb.text == word && verb.arguments == ArgumentRole::Any)
            .fold(0, |grants, verb| grants | verb.grants)
    };
    let rest = arguments.get(1..).unwrap_or_default();
    match verbs {
        Verbs::Always(grants) | Verbs::Script(grants) => grants,
        Verbs::MultiCall(verbs) => {
            let called = arguments.first().map_or("", String::as_str);
            let called = called.rsplit('/').next().unwrap_or(called);
            let verb = if called == file {
                rest.first().map_or("", String::as_str)
            } else {
                called
            };
            granted(verbs, verb)
        }
        Verbs::FirstWord(verbs) => rest
            .iter()
            .find(|word| !word.starts_with('-'))
            .map_or(0, |word| granted(verbs, word)),
        Verbs::AnyArgument(verbs) => rest
            .iter()
            .fold(0, |grants, word| grants | granted(verbs, word)),
        Verbs::AlwaysAndAnyArgument(always, verbs) => rest
            .iter()
            .fold(always, |grants, word| grants | granted(verbs, word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::verbs::{CRYPTSETUP_VERBS, LVM_VERBS, SYSTEMD_CRYPTSETUP_VERBS};

    fn grants(verbs: Verbs, file: &str, line: &str) -> u32 {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        by_command_line(verbs, file, &words)
    }

    #[test]
    fn verbs_are_found_as_the_kernel_half_finds_them() {
        let lvm = Verbs::MultiCall(LVM_VERBS);
        assert_ne!(grants(lvm, "lvm", "/usr/sbin/lvm pvmove /dev/sda"), 0);
        assert_ne!(grants(lvm, "lvm", "pvmove -b"), 0);
        assert_eq!(grants(lvm, "lvm", "lvs"), 0);
        assert_eq!(grants(lvm, "lvm", "lvm"), 0);
        assert_eq!(
            grants(lvm, "lvm", "lvremove -y free/one"),
            0,
            "cannot be judged"
        );
        let crypt = Verbs::AnyArgument(CRYPTSETUP_VERBS);
        assert_ne!(
            grants(crypt, "cryptsetup", "cryptsetup --type luks open a b"),
            0
        );
        assert_eq!(grants(crypt, "cryptsetup", "cryptsetup erase a"), 0);
        let attach = Verbs::FirstWord(SYSTEMD_CRYPTSETUP_VERBS);
        assert_ne!(grants(attach, "systemd-cryptsetup", "x -q attach a b"), 0);
        assert_eq!(
            grants(attach, "systemd-cryptsetup", "x detach attach"),
            tool_grant::KEEP_DM
        );
    }

    #[test]
    fn a_tool_that_runs_is_found_by_its_file() {
        let mut table = ToolTable::built_in();
        let me = std::env::current_exe().expect("a path");
        table.add(&me, tool_grant::SWAP_ON);
        let roots = Roots::host();
        let mounts = MountTable::read(&roots, "self").expect("mounts");
        let id = exe_id(&mounts, &me).expect("an identity");
        let rule = ToolRule {
            tool: table.tools().len() as u32,
            grants: tool_grant::SWAP_ON,
            verb_source: 0,
        };
        let found = running_tools(&roots, &mounts, &table, &[(id, rule)]);
        let mine = found.iter().find(|tool| tool.pid == std::process::id());
        assert_eq!(mine.map(|tool| tool.grants), Some(tool_grant::SWAP_ON));
    }
}
