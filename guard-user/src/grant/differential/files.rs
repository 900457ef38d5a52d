//! What ssh-keygen is asked about lists of signers and of revocations.

use super::super::key::Key;
use super::super::testing::Case;
use super::super::testing::{Authenticator, plain_blob, public_line};
use super::super::wire::base64;
use super::cases::SIGN;
use super::{Oracle, flips};

pub(super) fn lines(oracle: &Oracle) {
    let key = oracle.public("ed25519");
    let armoured = oracle.sign("ed25519", &SIGN);
    let case = |text: &str| Case::of("alice", &text.replace("KEY", &key), &armoured);
    for text in [
        " \t alice\t KEY a comment\r\n",
        "# a comment\n\n  # another\nalice KEY",
        "alice NameSpaces=\"file,override@*\" KEY\n",
        "alice namespaces=\"x\\\"y,*\",valid-after=\"20270115080000Z\" KEY\n",
        "alice valid-before=\"20270115080000z\" KEY\n",
        "alice valid-before=\"202701150800Z\" KEY\n",
        "alice valid-after=\"20270115Z\",valid-before=\"20270116Z\" KEY\n",
        "alice namespaces=\"file\" KEY\nalice KEY\n",
        "alice,al KEY\nal,alice KEY2\n",
    ] {
        if text.contains("KEY2") {
            let other = Authenticator::ed25519(1).line();
            let text = text.replace("KEY2", &other);
            oracle.differs("shared-name", &case(&text));
            continue;
        }
        oracle.both(text, &case(text));
    }
    // The rules allow alice a software key: she is the same person by another case.
    let shouted = Case {
        principal: "Alice".to_owned(),
        ..case("Alice KEY\n")
    };
    oracle.both("Alice KEY", &shouted);
    for text in [
        "",
        "alice\n",
        "bob KEY\n",
        "alice cert-authority KEY\n",
        "alice namespaces=\"file\" KEY\n",
        "alice namespaces=\"\" KEY\n",
        "alice namespaces=\"*,!override@dbguard\" KEY\n",
        "alice valid-after=\"20270115080001Z\" KEY\n",
        "alice valid-before=\"20270115075959Z\" KEY\n",
        "alice valid-after=\"20270102Z\",valid-before=\"20270101Z\" KEY\n",
        "alice valid-before=\"19700101Z\" KEY\n",
        "alice valid-before=\"2027Z\" KEY\n",
        "alice valid-before=\"20271301Z\" KEY\n",
        "alice valid-before=20280101Z KEY\n",
        "alice namespaces=override@dbguard KEY\n",
        "alice namespaces=\"*\",namespaces=\"*\" KEY\n",
        "alice touch-required KEY\n",
        "alice cert-authority, KEY\n",
        "alice namespaces=\"* KEY\n",
        "!alice,* KEY\n",
        "alice KEY=\n",
        "alice KEY!\n",
        "alice ssh-rsa KEY\n",
        "#alice KEY\n",
        "al\0ice KEY\n",
    ] {
        oracle.neither(text, &case(text));
    }
    for (name, text) in [
        ("pattern", "* KEY\n"),
        ("pattern", "a?ice,!bob KEY\n"),
        ("not-plain", "\"alice\" KEY\n"),
        ("not-plain", "alice,é KEY\n"),
        ("time-zone", "alice valid-before=\"20280101\" KEY\n"),
        ("no-such-time", "alice valid-before=\"20280230Z\" KEY\n"),
        (
            "no-such-time",
            "alice valid-before=\"20270115080060Z\" KEY\n",
        ),
        ("bad-line", "alice KEY\nbob\n"),
        ("bad-line", "bob unknown KEY\nalice KEY\n"),
        ("bad-line", "alice,,bob KEY\n"),
        ("shared-key", "alice KEY\nbob KEY\n"),
        ("shared-name", "alice KEY\nAlice OTHER\n"),
        ("control", "alice KEY a\u{7}b\n"),
        ("control", "alice KEY a\0b\n"),
        ("control", "# a\0b\nalice KEY\n"),
    ] {
        let other = Authenticator::ed25519(1).line();
        oracle.differs(name, &case(&text.replace("OTHER", &other)));
    }
    let mut latin = case("alice KEY caf");
    latin.signers.extend_from_slice(b"\xe9\n");
    oracle.differs("control", &latin);
    let long = format!("alice KEY {}\n", "x".repeat(17_000));
    oracle.differs("long", &case(&long));
    changed_lines(oracle, &case("alice namespaces=\"o*\" KEY of hers\n"));
    authorities_lines(oracle);
}

fn authorities_lines(oracle: &Oracle) {
    let armoured = oracle.certified("ed25519", "ca", &["-I", "x", "-n", "alice"]);
    let case = |text: &str| {
        let text = text.replace("CA", &oracle.public("ca"));
        Case::of("alice", &text, &armoured)
    };
    oracle.both("any case", &case("* CERT-authority CA\n"));
    oracle.both(
        "two options",
        &case("a* cert-authority,namespaces=\"*\" CA\n"),
    );
    oracle.neither(
        "namespaces",
        &case("* cert-authority,namespaces=\"x\" CA\n"),
    );
    oracle.neither("nobody but", &case("!bob cert-authority CA\n"));
    oracle.differs(
        "repeated-option",
        &case("* cert-authority,cert-authority CA\n"),
    );
}

fn changed_lines(oracle: &Oracle, good: &Case) {
    oracle.both("as it is", good);
    flips(&good.signers, 24, |at, signers| {
        let mut changed = good.clone();
        changed.signers = signers;
        oracle.compare(&format!("line, bit {at}"), &changed);
    });
}

pub(super) fn revocations(oracle: &Oracle) {
    let key = oracle.public("ed25519");
    let other = Authenticator::ed25519(1).line();
    let plain = {
        let line = format!("alice {key}\n");
        Case::of("alice", &line, &oracle.sign("ed25519", &SIGN))
    };
    let certified = {
        let options = ["-I", "laptop", "-n", "alice", "-z", "5"];
        let line = format!("* cert-authority {}\n", oracle.public("ca"));
        Case::of("alice", &line, &oracle.certified("ed25519", "ca", &options))
    };
    let fingerprint = {
        let blob = unarmoured_line(&key);
        Key::from_blob(&blob).expect("a key").fingerprint()
    };

    oracle.both("another key", &plain.revoked(other.as_bytes()));
    oracle.both("nothing", &plain.revoked(b"# nothing\n\n"));
    let list = format!("# x\n{other}\n {key} gone\n");
    oracle.neither("the key", &plain.revoked(list.as_bytes()));
    oracle.neither(
        "the key of a certificate",
        &certified.revoked(list.as_bytes()),
    );
    let authority = oracle.public("ca");
    oracle.neither("the authority", &certified.revoked(authority.as_bytes()));
    let certificate = oracle.read("ed25519-cert.pub");
    oracle.neither(
        "the certificate",
        &certified.revoked(certificate.as_bytes()),
    );
    oracle.neither("as a plain key", &plain.revoked(certificate.as_bytes()));
    oracle.neither("rubbish", &plain.revoked(b"rubbish\n"));
    let no_point = plain_blob("ssh-ed25519", &[&[2; 32]]);
    let no_point = public_line(&no_point);
    oracle.differs("bad-revocation", &plain.revoked(no_point.as_bytes()));
    for words in [
        fingerprint.clone(),
        format!("hash: {fingerprint}"),
        format!("key: {key}"),
        format!("sha1: {key}"),
        format!("sha256: {key}"),
    ] {
        oracle.neither(&words, &plain.revoked(words.as_bytes()));
    }

    for specification in [
        format!("key: {key}\n"),
        format!("sha1: {key}\n"),
        format!("sha256: {key}\n"),
        format!("hash: {fingerprint}\n"),
    ] {
        let krl = oracle.krl(&specification, &[]);
        oracle.neither(&specification, &plain.revoked(&krl));
        oracle.neither(&specification, &certified.revoked(&krl));
    }
    let krl = oracle.krl(&format!("sha256: {other}\n"), &[]);
    oracle.both("another key, in binary", &plain.revoked(&krl));
    let krl = oracle.krl(&format!("key: {authority}\n"), &[]);
    oracle.neither("the authority, in binary", &certified.revoked(&krl));
    serials_and_ids(oracle, &plain, &certified);
}

fn serials_and_ids(oracle: &Oracle, plain: &Case, certified: &Case) {
    let many: Vec<String> = (0..40)
        .map(|serial| format!("serial: {}", serial * 3 + 2))
        .collect();
    let many = many.join(
        "
",
    ) + "
";
    for (specification, revokes) in [
        ("serial: 5\n", true),
        ("serial: 4\n", false),
        ("serial: 2-5\n", true),
        ("serial: 6-9000\n", false),
        (
            "serial: 1\nserial: 3\nserial: 5\nserial: 6\nserial: 8\n",
            true,
        ),
        (many.as_str(), true),
        ("serial: 0xffffffffffffffff\n", false),
        ("id: laptop\n", true),
        ("id: laptop2\n", false),
    ] {
        let krl = oracle.krl(specification, &["-s", "ca.pub"]);
        if revokes {
            oracle.neither(specification, &certified.revoked(&krl));
        } else {
            oracle.both(specification, &certified.revoked(&krl));
        }
        if specification == many {
            let of_another = oracle.krl(specification, &["-s", "rsa3072.pub"]);
            oracle.both("another authority's", &certified.revoked(&of_another));
            oracle.both("no certificate", &plain.revoked(&krl));
            flips(&krl, 16, |at, krl| {
                oracle.compare(&format!("binary list, bit {at}"), &certified.revoked(&krl));
            });
        }
    }
}

/// The key of `type base64`.
fn unarmoured_line(line: &str) -> Vec<u8> {
    let encoded = line.split(' ').nth(1).expect("a key");
    base64(encoded).expect("base 64")
}
