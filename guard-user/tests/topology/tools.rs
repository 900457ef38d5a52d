//! The table of maintenance programs against files on a disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use guard_abi::{ArgumentRole, VerbKey, VerbRule, tool_grant, verb_source};
use guard_user::host::{ResolvedTools, ToolTable};
use guard_user::topology::MountTable;

fn install(root: &Path, path: &str, text: &str, mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn resolve(root: &Path, free: &[&str]) -> ResolvedTools {
    let free: Vec<String> = free.iter().map(|text| (*text).to_owned()).collect();
    ToolTable::built_in().resolve(root, &MountTable::default(), &free)
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap().trim_end_matches('\0')
}

/// Verbs of the tool that a rule belongs to, with grants.
fn verbs(resolved: &ResolvedTools, at: usize) -> Vec<(String, u32, u32)> {
    let tool = resolved.rules[at].1.tool;
    resolved
        .verbs
        .iter()
        .filter(|(key, _)| key.tool == tool)
        .map(|(key, rule)| (text_of(&key.verb).to_owned(), rule.grants, rule.arguments))
        .collect()
}

#[test]
fn lvm_is_found_once_through_all_its_names() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "usr/sbin/lvm", "ELF", 0o755);
    symlink("lvm", dir.path().join("usr/sbin/lvcreate")).unwrap();
    symlink("usr/sbin", dir.path().join("sbin")).unwrap();
    let resolved = resolve(dir.path(), &["vg0/snap"]);
    assert_eq!(resolved.rules.len(), 1, "{:?}", resolved.problems);
    let rule = resolved.rules[0].1;
    assert_eq!((rule.grants, rule.verb_source), (0, verb_source::MULTICALL));
    let verbs = verbs(&resolved, 0);
    let verb = |name: &str| verbs.iter().find(|(text, ..)| text == name);
    let both = tool_grant::LVM | tool_grant::NEW_DM | tool_grant::STACK;
    assert_eq!(verb("lvextend").unwrap().1, both);
    assert_eq!(verb("lvremove").unwrap().2, ArgumentRole::AllListed as u32);
    for verb_name in [
        "lvreduce",
        "lvresize",
        "vgremove",
        "pvremove",
        "pvcreate",
        "vgcfgrestore",
        "vgrename",
        "lvrename",
        "vgmerge",
        "vgsplit",
        "lvm",
        "",
    ] {
        assert_eq!(verb(verb_name), None, "{verb_name}");
    }
    let arguments = |verb: &str| -> Vec<&str> {
        let named = |(key, _): &&(VerbKey, VerbRule)| text_of(&key.verb) == verb;
        let set = resolved.verbs.iter().find(named).unwrap().1.set;
        let of_set = resolved.arguments.iter().filter(|name| name.set == set);
        of_set.map(|name| text_of(&name.text)).collect()
    };
    let removed = arguments("lvremove");
    assert!(removed.contains(&"vg0/snap") && removed.contains(&"-f"));
    for value_option in ["--config", "--select", "-S", "--devices", "vg0"] {
        assert!(!removed.contains(&value_option));
    }
    for (name, wanted, not) in [
        (
            "lvconvert",
            "--repair",
            ["--merge", "--splitmirrors", "--type", "-f", "vg0/snap"],
        ),
        (
            "vgreduce",
            "--removemissing",
            ["--force", "-f", "--mirrorsonly", "--config", "vg0/snap"],
        ),
        (
            "lvchange",
            "--addtag=",
            [
                "-p",
                "-pr",
                "--permission=",
                "--setautoactivation=",
                "vg0/snap",
            ],
        ),
        (
            "vgchange",
            "-aay",
            [
                "-u",
                "--uuid",
                "--systemid",
                "--systemid=",
                "--setautoactivation",
            ],
        ),
    ] {
        assert_eq!(verb(name).unwrap().2, ArgumentRole::OptionsListed as u32);
        let listed = arguments(name);
        assert!(listed.contains(&wanted));
        assert!(
            not.iter().all(|option| !listed.contains(option)),
            "{listed:?}"
        );
    }
}

#[test]
fn a_multi_call_binary_of_others_has_no_grant() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "bin/busybox", "ELF", 0o755);
    fs::create_dir_all(dir.path().join("sbin")).unwrap();
    symlink("../bin/busybox", dir.path().join("sbin/swapon")).unwrap();
    let resolved = resolve(dir.path(), &[]);
    assert_eq!(resolved.rules, []);
    assert!(
        resolved.problems[0].contains("busybox"),
        "{:?}",
        resolved.problems
    );
    // The same by hard links: one file cannot be two programs.
    install(dir.path(), "usr/sbin/swapon", "ELF", 0o755);
    fs::hard_link(
        dir.path().join("usr/sbin/swapon"),
        dir.path().join("usr/sbin/smartctl"),
    )
    .unwrap();
    let resolved = resolve(dir.path(), &[]);
    assert_eq!(resolved.rules, [], "{:?}", resolved.problems);
}

#[test]
fn files_that_others_can_change_and_scripts_have_no_grant() {
    for (text, mode, expected) in [
        ("ELF", 0o755, 1),
        ("ELF", 0o777, 0),
        ("ELF", 0o775, 0),
        ("#!/bin/sh\n", 0o755, 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), "usr/sbin/resize2fs", text, mode);
        let resolved = resolve(dir.path(), &[]);
        // A test that is not run by root installs files that are not root's.
        let expected = if rustix::process::geteuid().is_root() {
            expected
        } else {
            0
        };
        assert_eq!(resolved.rules.len(), expected, "{text:?} {mode:o}");
    }
}

#[test]
fn configured_tools_and_disabled_ones() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "opt/raid/grow", "ELF", 0o755);
    install(dir.path(), "usr/sbin/mdmon", "ELF", 0o755);
    let mut table = ToolTable::built_in();
    table.add(Path::new("/opt/raid/grow"), tool_grant::EXT_ONLINE);
    assert!(table.disable("mdmon") && !table.disable("mdmon"));
    let resolved = table.resolve(dir.path(), &MountTable::default(), &[]);
    assert_eq!(resolved.rules.len(), 1);
    assert_eq!(resolved.rules[0].1.grants, tool_grant::EXT_ONLINE);
    assert_eq!(resolved.watch, [Path::new("/opt/raid/grow")]);
}

#[test]
fn more_free_volumes_than_fit_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let free: Vec<String> = (0..20_000).map(|number| format!("vg/lv{number}")).collect();
    let resolved = ToolTable::built_in().resolve(dir.path(), &MountTable::default(), &free);
    assert_eq!(
        resolved.arguments.len(),
        guard_abi::maps::ARGUMENTS_MAX as usize
    );
    assert_eq!(resolved.problems.len(), 1);
    let long = "x".repeat(124);
    assert!(
        !resolve(dir.path(), &[&long])
            .arguments
            .iter()
            .any(|name| name.text[0] == b'x')
    );
}
