use super::*;
use crate::audit::account::Account;
use crate::audit::record::{Command, EventKey, Object, Process};

fn denial() -> Denial {
    Denial {
        decision: "deny".into(),
        reason: "protected-device".into(),
        hook: "file_open".into(),
        op: "raw-write".into(),
        object: Object {
            kind: "block".into(),
            name: "nvme1n1".into(),
            why: vec!["carries /var/lib/mysql (mariadbd 812, running)".into()],
            ..Object::default()
        },
        process: Process {
            pid: 77,
            argv: ["wipefs", "-a", "/dev/nvme1n1"].map(str::to_owned).to_vec(),
            user: Some("root".into()),
            login: "no login session".into(),
            tty: Some("/dev/pts/3".into()),
            ..Process::default()
        },
        database: Vec::new(),
        command: None,
        act: None,
        open: Some("O_RDWR|O_EXCL".into()),
        grant: None,
        count: 2,
        key: EventKey(1, 2, 3),
        repeats: vec![EventKey(2, 2, 3)],
    }
}

fn record(denial: Denial) -> Record {
    Record {
        v: 1,
        seq: 9,
        event: Some("E-7K2Q".into()),
        time: "2026-11-21T22:00:00.000000Z".into(),
        boot_ns: 1,
        boot_id: "another".into(),
        machine_id: "m".into(),
        host: "db7".into(),
        mode: "enforce".into(),
        state: "armed".into(),
        account: Account::default(),
        body: Body::Denial(Box::new(denial)),
        prev_hash: None,
        hash: None,
    }
}

#[test]
fn a_person_can_read_it() {
    let denial = denial();
    assert_eq!(
        explain(&record(denial.clone()), &denial),
        "E-7K2Q  2026-11-21T22:00:00.000000Z, before this boot\n\n\
         \x20 what  raw-write to nvme1n1 was refused (open O_RDWR|O_EXCL), 2 times\n\
         \x20 who   wipefs -a /dev/nvme1n1 (pid 77), by root, no login session, on /dev/pts/3\n\
         \x20 why   nvme1n1 is protected: it carries /var/lib/mysql (mariadbd 812, running)\n\
         \x20       A database runs on this host, so dbguard refuses whatever could destroy the disks under it or the running system.\n\
         \x20 now   Nothing was changed.\n\
         \x20       Did you mean another host? This is db7.\n\
         \x20       Did you mean another device? `dbguard devices` shows which are free.\n\
         \x20       Is the data really to go? Stop the database first, then: dbguard release --confirm-host NAME (this host's name, db7)\n\
         \x20       Must it be done, now? dbguard override request E-7K2Q --incident TICKET --reason \"WHY\" > r.txt\n"
    );
}

#[test]
fn commands_have_names_and_nothing_escapes() {
    let mut denial = denial();
    denial.open = None;
    denial.command = Some(Command {
        number: 1,
        hex: "0x2285".into(),
        name: Some("SG_IO".into()),
        opcode: Some(4),
    });
    denial.object.name = "x\u{1b}[2J".into();
    denial.process.argv = vec!["a\nb".into()];
    let text = explain(&record(denial.clone()), &denial);
    assert!(text.contains("SG_IO, opcode 0x04"), "{text}");
    assert!(
        text.chars()
            .all(|letter| letter == '\n' || !letter.is_control()),
        "{text:?}"
    );
}

/// A person who reads of an operation that was let through must see that, and why it was.
#[test]
fn what_was_let_through_says_so() {
    let said = |mode: &str, decision: &str| {
        let denial = Denial {
            decision: decision.into(),
            op: "remap".into(),
            ..denial()
        };
        let record = Record {
            mode: mode.into(),
            ..record(denial.clone())
        };
        explain(&record, &denial)
    };
    for (mode, decision, words) in [
        (
            "observe",
            "would-deny",
            "would have been refused (mode observe), and was let through",
        ),
        (
            "enforce",
            "would-deny",
            "would have been refused (remap is observed), and was let through",
        ),
        ("enforce", "would-deny", "refuses it once it is enforced"),
        (
            "enforce",
            "allowed",
            "was let through (the configuration allows remap), and noted",
        ),
        ("enforce", "record", "was let through and noted"),
    ] {
        let text = said(mode, decision);
        assert!(text.contains(words), "expected {words:?} in {text}");
        assert!(text.contains("It was not stopped."), "{text}");
    }
    assert!(!said("enforce", "deny").contains("let through"));
}

#[test]
fn whoever_changes_boot_files_is_told_the_right_way() {
    let mut denial = denial();
    denial.op = "boot-file".into();
    denial.reason = "protected-file".into();
    denial.act = Some("write".into());
    denial.open = None;
    denial.object = Object {
        kind: "file".into(),
        name: "/boot/grub/grub.cfg".into(),
        why: vec!["what this machine boots from".into()],
        ..Object::default()
    };
    let text = explain(&record(denial.clone()), &denial);
    for part in [
        "boot-file to /boot/grub/grub.cfg was refused (write)",
        "must stay as it is while this host is guarded: it is what this machine boots from",
        "update-grub",
        "[tools] extra",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("another device"), "{text}");
}
