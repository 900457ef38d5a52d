use std::os::unix::fs::symlink;

use super::super::testing::Authenticator;
use super::*;
use proptest::prelude::*;

fn line(names: &str, seed: u8) -> String {
    format!("{names} {}\n", Authenticator::ed25519(seed).line())
}

fn set(text: &str) -> Signers {
    Signers::parse(text.as_bytes(), Path::new("list")).expect(text)
}

fn refused(text: &str) -> String {
    Signers::parse(text.as_bytes(), Path::new("list"))
        .expect_err(text)
        .to_string()
}

#[test]
fn one_bad_line_refuses_the_file() {
    let text = format!("{}# x\n{}", line("alice", 1), line("*", 2));
    assert_eq!(
        refused(&text),
        "list:3: the principal \"*\" is a pattern, and a plain key belongs to one person; write \
         that person's name, as two signers must be told apart. Nobody is authorised by this file \
         until then"
    );
    assert!(refused("alice ssh-ed25519 AAAA\0").starts_with("list:1: it has a control character"));
}

#[test]
fn one_key_for_two_persons() {
    let text = line("alice", 1) + &line("bob", 1);
    assert!(
        refused(&text).starts_with("list:1 is about alice, list:2 about bob: one key, SHA256:"),
        "{}",
        refused(&text)
    );
    set(&(line("alice", 1) + &line("alice,al", 1) + &line("bob", 2)));
}

#[test]
fn one_name_for_two_persons() {
    for text in [
        line("alice,al", 1) + &line("al", 2),
        line("alice,al", 1) + &line("bob,al", 2),
        line("alice", 1) + &line("Alice", 2),
    ] {
        assert!(refused(&text).contains("begin all lines of a person with the same name"));
    }
    set(&(line("alice,al", 1) + &line("alice,a.smith", 2)));
}

#[test]
fn names_lead_to_persons() {
    let signers = set(&line("alice,alice@x.org", 1));
    assert_eq!(signers.person("alice@x.org"), "alice");
    assert_eq!(signers.person("ALICE"), "alice");
    assert_eq!(signers.person("bob"), "bob");
}

#[test]
fn what_a_digest_is_over() {
    let one = set(&(line("alice,b,c", 1) + &line("dora", 2)));
    let same = set(&format!(
        "# moved\n\n{}  {}{}",
        line("dora", 2),
        line("alice,c,b", 1),
        line("dora", 2)
    ));
    assert_eq!(one.digest(), same.digest());
    for other in [
        line("alice,b,c", 1),
        line("b,alice,c", 1) + &line("dora", 2),
        line("alice,b,c", 1) + &line("dora", 3),
        line("alice,b,c", 1) + &line("dora cert-authority", 2),
        line("alice,b,c", 1) + &line("dora namespaces=\"\"", 2),
        line("alice,b,c", 1) + &line("dora valid-after=\"20270101Z\"", 2),
        line("alice,b,c", 1) + &line("dora valid-before=\"20270101Z\"", 2),
    ] {
        assert_ne!(one.digest(), set(&other).digest(), "{other}");
    }
    let gone = Authenticator::ed25519(9);
    let fingerprint = Key::from_blob(&gone.public()).expect("a key").fingerprint();
    let revoking = |text: &str| Revoked::parse(text.as_bytes()).expect("a list");
    let by_key = set(&line("dora", 2)).without(revoking(&gone.line()));
    let by_fingerprint = set(&line("dora", 2)).without(revoking(&fingerprint));
    assert_eq!(by_key.digest(), by_fingerprint.digest());
    assert_ne!(by_key.digest(), set(&line("dora", 2)).digest());
}

#[test]
fn a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| fs::write(path(name), text).expect(name);
    write("20-dba", &line("alice", 1));
    write("10-sre", &line("bob", 2));
    write(".30-hidden", &line("eve", 3));
    write("40-broken", &(line("carol", 4) + "carol\n"));
    write("50-left.bak", &line("dave", 5));
    write("60-left.dpkg-old", &line("dave", 5));
    write("revoked", &Authenticator::ed25519(2).line());
    fs::create_dir(path("70-directory")).expect("a directory");
    fs::create_dir(path("real")).expect("a directory");
    fs::write(path("real/list"), line("frank", 6)).expect("a file");
    symlink("real/list", path("80-link")).expect("a link");

    let signers = Signers::read(directory.path()).expect("a set");
    let has = |seed: u8| {
        let key = Key::from_blob(&Authenticator::ed25519(seed).public()).expect("a key");
        signers.of_key(&key).next().is_some()
    };
    assert_eq!(
        [1, 2, 3, 4, 5, 6].map(has),
        [true, true, false, false, false, true]
    );
    let order: Vec<usize> = signers.lines.iter().map(|one| one.at.line).collect();
    assert_eq!(order.len(), 3);
    assert!(signers.lines[0].at.file.ends_with("10-sre"));
    let problems: Vec<String> = signers.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(
        problems[0].contains("40-broken:2: it has no key"),
        "{}",
        problems[0]
    );
    assert!(
        problems[1].contains("copy that was left behind"),
        "{}",
        problems[1]
    );
    let bob = Key::from_blob(&Authenticator::ed25519(2).public()).expect("a key");
    assert!(signers.revoked().has_key(&bob));
    assert!(!signers.is_empty());
}

#[test]
fn what_takes_everybodys_authority() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let because = || {
        Signers::read(directory.path())
            .expect_err("nobody is authorised")
            .to_string()
    };
    fs::write(path("a"), line("alice", 1)).expect("a file");
    fs::write(path("revoked.txt"), "bob\n").expect("a file");
    assert!(
        because().contains("revoked.txt: line 1: it holds no public key"),
        "{}",
        because()
    );
    fs::write(path("revoked.txt"), b"SSHKRL\n\0\0").expect("a file");
    assert!(
        because().contains("ends in the middle of its header"),
        "{}",
        because()
    );
    fs::remove_file(path("revoked.txt")).expect("removed");
    symlink("nowhere", path("revoked.krl")).expect("a link");
    assert!(
        because().contains("revoked.krl: cannot be read"),
        "{}",
        because()
    );
    fs::remove_file(path("revoked.krl")).expect("removed");
    fs::create_dir(path("revoked.d")).expect("a directory");
    assert!(because().contains("not a regular file"), "{}", because());
    fs::remove_dir(path("revoked.d")).expect("removed");
    fs::write(path("b"), line("bob", 1)).expect("a file");
    assert!(
        because().contains("must not count as two persons"),
        "{}",
        because()
    );
    let missing = path("missing");
    let why = Signers::read(&missing)
        .expect_err("there is none")
        .to_string();
    assert!(why.contains("missing: cannot be read"), "{why}");
}

#[test]
fn files_too_large_to_be_meant() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = fs::File::create(directory.path().join("a")).expect("a file");
    file.set_len(LARGEST + 1).expect("its length");
    let signers = Signers::read(directory.path()).expect("a set");
    assert!(matches!(signers.problems(), [SignersError::Large(_)]));
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = Signers::parse(&bytes, Path::new("list"));
    }

    /// One bit changed in a good file: refused, or another meaning, or the same but for a comment.
    #[test]
    fn never_panics_on_what_is_near(at in 0_usize..400, bit in 0_u8..8) {
        let mut text = (line("alice,al namespaces=\"a,b\"", 1)
            + &line("*@x cert-authority,valid-after=\"20270101Z\"", 2)).into_bytes();
        let at = at % text.len();
        text[at] ^= 1 << bit;
        let _ = Signers::parse(&text, Path::new("list"));
    }
}
