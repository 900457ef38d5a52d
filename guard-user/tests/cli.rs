//! The command line with bad input: exit codes and messages are an interface.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot run the program has failed"
)]

use std::process::{Command, Output, Stdio};

fn dbguard(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dbguard"))
        .args(arguments)
        .output()
        .expect("dbguard starts")
}

fn code(arguments: &[&str]) -> i32 {
    dbguard(arguments).status.code().expect("it ends by itself")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_and_version_succeed() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["check", "--help"],
        &["audit", "tail", "--help"],
    ] {
        let output = dbguard(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[test]
fn help_says_what_the_exit_codes_mean() {
    for (verb, words) in [
        ("status", ["0 guarding", "2", "UNPROTECTED"]),
        ("check", ["0 it would be allowed", "1", "3 not known"]),
    ] {
        let text = String::from_utf8(dbguard(&[verb, "--help"]).stdout).expect("UTF-8");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(text.contains(word), "{verb}: expected {word:?} in {text}");
        }
    }
}

#[test]
fn wrong_command_lines_are_64() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["status", "--nonsense"],
        &["status", "extra"],
        &["release"],
        &["unload"],
        &["unload", "--confirm-host", "not-this-host"],
        &["config", "apply"],
        &["mark"],
        &["mark", "--pid", "x"],
        &["mark", "--pid", "1", "--exe", "/x"],
        &["audit"],
        &["audit", "tail", "-n", "-1"],
        &["audit", "verify"],
        &["config"],
        &["config", "nonsense"],
        &["exec", "--", "true"],
        &["why", "E-1", "E-2"],
        &["report"],
        &["report", "--would-block", "--since", "yesterday"],
    ] {
        assert_eq!(code(arguments), 64, "{arguments:?}");
    }
    assert_eq!(code(&["why", "U"]), 64, "not an event id");
}

/// 2 means "would be refused": a mistyped preflight must never say that.
#[test]
fn wrong_checks_are_3() {
    for arguments in [
        &["check", "--for", "nonsense"][..],
        &["check", "--for"],
        &["check", "--nonsense"],
        &["check", "--for", "raw-write", "--for", "discard"],
        &["check", "/dev/nonexistent"],
    ] {
        assert_eq!(code(arguments), 3, "{arguments:?}");
    }
    let text = stderr(&dbguard(&["check", "--for", "nonsense"]));
    assert!(
        text.contains("raw-write") && text.contains("kexec"),
        "{text}"
    );
}

/// Where no controller runs (as on a machine that builds this), nothing claims to protect.
#[test]
fn without_a_controller() {
    assert!(
        !std::path::Path::new("/run/dbguard/control.sock").exists(),
        "this test needs a machine without a running dbguard"
    );
    for arguments in [
        &["devices"][..],
        &["release", "--confirm-host", "x"],
        &["config", "apply", "--confirm-host", "x"],
        &["mark", "--exe", "/bin/sh"],
    ] {
        let output = dbguard(arguments);
        assert_eq!(output.status.code(), Some(75), "{arguments:?}");
        assert!(
            stderr(&output).contains("systemctl start dbguard"),
            "{}",
            stderr(&output)
        );
    }
    let status = dbguard(&["status"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(status.status.code(), Some(2), "{text}{}", stderr(&status));
    assert!(text.contains("UNPROTECTED"), "{text}");
    let json = dbguard(&["status", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(value["protection"], "unprotected");
    assert_eq!(value["controller"], false);
}

#[test]
fn marking_what_is_not_there() {
    let output = dbguard(&["mark", "--data", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(66), "{}", stderr(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dbguard"))
        .args(["--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dbguard starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}
