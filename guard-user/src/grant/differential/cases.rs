//! What ssh-keygen is asked about keys, signatures and certificates.

use super::super::NAMESPACE;
use super::super::testing::{
    Authenticator, CertificateDraft, Draft, PIN, TOUCHED, armour, certify, public_line, unarmoured,
};
use super::super::testing::{Case, NOW, TEXT};
use super::{Oracle, flips};

pub(super) const SIGN: [&str; 2] = ["-n", NAMESPACE];

/// Each key in turn: a good signature, and what is wrong with it when a bit is.
pub(super) fn plain_keys(oracle: &Oracle) {
    let kinds: [(&str, &[&str], usize); 5] = [
        ("ed25519", &["-t", "ed25519"], 14),
        ("p256", &["-t", "ecdsa", "-b", "256"], 8),
        ("p384", &["-t", "ecdsa", "-b", "384"], 3),
        ("p521", &["-t", "ecdsa", "-b", "521"], 3),
        ("rsa3072", &["-t", "rsa", "-b", "3072"], 5),
    ];
    for (name, options, count) in kinds {
        let public = oracle.generate(name, options);
        let armoured = oracle.sign(name, &SIGN);
        let good = Case::of("alice", &format!("alice {public}\n"), &armoured);
        oracle.both(name, &good);
        let blob = unarmoured(&armoured);
        flips(&blob, count, |at, blob| {
            let changed = Case::of("alice", &format!("alice {public}\n"), &armour(&blob));
            oracle.compare(&format!("{name}, bit {at}"), &changed);
        });
    }
    let line = format!("alice {}\n", oracle.public("ed25519"));
    let with = |options: &[&str]| {
        let armoured = oracle.sign("ed25519", options);
        Case::of("alice", &line, &armoured)
    };
    let good = with(&[&SIGN[..], &["-O", "hashalg=sha256"]].concat());
    oracle.both("sha256", &good);
    oracle.neither("namespace", &with(&["-n", "file"]));
    let strict = good.rules(|rules| rules.software.clear());
    oracle.differs("software", &strict);
    for (what, text) in [
        ("no text", b"".as_slice()),
        ("shorter", &TEXT[..TEXT.len() - 1]),
        ("longer", &[TEXT, b"\n"].concat()),
        (
            "CRLF",
            &TEXT[..TEXT.len() - 1]
                .iter()
                .copied()
                .chain(*b"\r\n")
                .collect::<Vec<u8>>(),
        ),
    ] {
        let mut changed = good.clone();
        changed.text = text.to_vec();
        oracle.neither(what, &changed);
    }
    flips(TEXT, 6, |at, text| {
        let mut changed = good.clone();
        changed.text = text;
        oracle.neither(&format!("text, bit {at}"), &changed);
    });
    flips(&good.armoured.clone(), 15, |at, armoured| {
        let mut changed = good.clone();
        changed.armoured = armoured;
        oracle.compare(&format!("armour, bit {at}"), &changed);
    });
    armours(oracle, &good);
    rsa_keys(oracle);
    envelopes(oracle);
}

fn armours(oracle: &Oracle, good: &Case) {
    let text = String::from_utf8(good.armoured.clone()).expect("text");
    let with = |text: &str| {
        let mut changed = good.clone();
        changed.armoured = text.as_bytes().to_vec();
        changed
    };
    let returns = text.replace('\n', "\r\n");
    oracle.neither("CRLF", &with(&returns));
    let below = returns.replacen("\r\n", "\n", 1);
    oracle.both("CRLF but for the first line", &with(&below));
    oracle.both("blanks", &with(&text.replacen("AAA", "A A\t\nA", 1)));
    oracle.both("blank lines behind", &with(&format!("{text}\n \n")));
    oracle.neither("blank line before", &with(&format!("\n{text}")));
    oracle.neither("no end", &with(&text.replace("-----END", "")));
    oracle.neither("a letter less", &with(&text.replacen('U', "", 1)));
    oracle.neither("nothing", &with(""));
    oracle.neither("one line", &with(&text.replacen("-----\n", "-----", 1)));
    for text in [
        format!("{text}x"),
        format!("{text}{text}"),
        text.replacen("AAA", "A\u{b}AA", 1),
        text.replacen("AAA", "A\u{c}AA", 1),
    ] {
        oracle.differs("armour", &with(&text));
    }
    let long = text.replacen("-----\n", &format!("-----\n{}", "\n".repeat(70_000)), 1);
    oracle.differs("long", &with(&long));
}

fn rsa_keys(oracle: &Oracle) {
    let case = |name: &str| {
        let line = format!("alice {}\n", oracle.public(name));
        Case::of("alice", &line, &oracle.sign(name, &SIGN))
    };
    let good = case("rsa3072");
    oracle.differs("rsa", &good.rules(|rules| rules.rsa = false));
    oracle.generate("rsa2048", &["-t", "rsa", "-b", "2048"]);
    oracle.differs("rsa-length", &case("rsa2048"));
    let renamed = good.signers.strip_prefix(b"alice ssh-rsa").expect("a line");
    let mut other_type = good.clone();
    other_type.signers = [b"alice rsa-sha2-512", renamed].concat();
    oracle.differs("key-type", &other_type);
}

/// What no tool writes.
fn envelopes(oracle: &Oracle) {
    let key = Authenticator::ed25519(1);
    let line = format!("alice {}\n", key.line());
    let with = |change: fn(&mut Draft<'_>)| {
        let mut draft = Draft::of(&key);
        change(&mut draft);
        Case::of("alice", &line, &draft.armoured(TEXT))
    };
    oracle.both("as it is", &with(|_| ()));
    oracle.differs("version", &with(|draft| draft.version = 0));
    oracle.neither("version 2", &with(|draft| draft.version = 2));
    oracle.differs("reserved", &with(|draft| draft.reserved = b"x"));
    oracle.neither("bytes behind", &with(|draft| draft.trailing = b"x"));
    oracle.neither("hash", &with(|draft| draft.hash = "sha1"));
    oracle.neither("no namespace", &with(|draft| draft.namespace = ""));
    oracle.differs("weak-key", &signed_by_nobody(&key));
}

/// The neutral element as the key, and as R; 0 as S: holds for every text.
fn signed_by_nobody(key: &Authenticator) -> Case {
    let mut blob = unarmoured(&key.sign(TEXT));
    let mut weak = [0; 32];
    weak[0] = 1;
    let public = key.public();
    let at = blob
        .windows(public.len())
        .position(|part| part == public)
        .expect("the key")
        + public.len();
    blob[at - 32..at].copy_from_slice(&weak);
    let end = blob.len();
    blob[end - 64..end - 32].copy_from_slice(&weak);
    blob[end - 32..].fill(0);
    let mut public = public;
    let start = public.len() - 32;
    public[start..].copy_from_slice(&weak);
    let line = format!("alice {}\n", public_line(&public));
    Case::of("alice", &line, &armour(&blob))
}

pub(super) fn hardware_keys(oracle: &Oracle) {
    for key in [Authenticator::sk_ed25519(1), Authenticator::sk_ecdsa(1)] {
        let line = format!("alice {}\n", key.line());
        let case = |key: &Authenticator| Case::of("alice", &line, &key.sign(TEXT));
        let good = case(&key).rules(|rules| {
            rules.software.clear();
            rules.require_pin = true;
            rules.applications = vec!["ssh:".to_owned()];
        });
        oracle.both("touched, with PIN", &good);
        oracle.both("touched", &case(&key.clone().flags(TOUCHED)));
        oracle.differs("touch", &case(&key.clone().flags(0)));
        oracle.differs("touch", &case(&key.clone().flags(PIN)));
        let no_pin = case(&key.clone().flags(TOUCHED));
        oracle.differs("pin", &no_pin.rules(|rules| rules.require_pin = true));
        let other = key.clone().application("ssh:other");
        let line = format!("alice {}\n", other.line());
        let other = Case::of("alice", &line, &other.sign(TEXT));
        oracle.both("any application", &other);
        let ours = other.rules(|rules| rules.applications = vec!["ssh:".to_owned()]);
        oracle.differs("application", &ours);
        flips(&unarmoured(&key.sign(TEXT)), 12, |at, blob| {
            let mut changed = good.clone();
            changed.armoured = armour(&blob).into_bytes();
            oracle.compare(&format!("hardware key, bit {at}"), &changed);
        });
    }
    let mut padded = Authenticator::sk_ecdsa(1);
    let line = format!("alice {}\n", padded.line());
    padded.padded = true;
    oracle.differs("numbers", &Case::of("alice", &line, &padded.sign(TEXT)));
}

pub(super) fn certificates(oracle: &Oracle) {
    let authority = oracle.generate("ca", &["-t", "ecdsa"]);
    let line = format!("alice,*@x.org,!eve@x.org cert-authority {authority}\n");
    let issued = |principal: &str, options: &[&str]| {
        let armoured = oracle.certified("ed25519", "ca", options);
        Case::of(principal, &line, &armoured)
    };
    let good = issued("alice", &["-I", "laptop", "-n", "alice", "-z", "5"]);
    oracle.both("a certificate without an end", &good);
    let dated = ["-I", "x", "-n", "al@x.org,bo@x.org", "-V"];
    let dated = |validity: &str| issued("al@x.org", &[&dated[..], &[validity]].concat());
    oracle.both("valid now", &dated("20270115080000Z:20270115080001Z"));
    oracle.neither("expired", &dated("20270101Z:20270115080000Z"));
    oracle.neither("not yet", &dated("20270115080001Z:20280101Z"));
    oracle.neither(
        "a host's",
        &issued("alice", &["-I", "x", "-h", "-n", "alice"]),
    );
    oracle.neither("nobody's", &issued("alice", &["-I", "x"]));
    oracle.neither("another's", &issued("bob", &["-I", "x", "-n", "bob"]));
    oracle.neither(
        "excluded",
        &issued("eve@x.org", &["-I", "x", "-n", "eve@x.org"]),
    );
    oracle.neither(
        "no wildcards in it",
        &issued("alice", &["-I", "x", "-n", "*"]),
    );
    let named = ["-I", "x", "-n", "alice", "-O"];
    for option in [
        "force-command=ls",
        "source-address=10.0.0.0/8",
        "verify-required",
    ] {
        let case = issued("alice", &[&named[..], &[option]].concat());
        oracle.differs("critical-option", &case);
    }
    let case = issued("alice", &[&named[..], &["extension:x@y=z"]].concat());
    oracle.both("an extension", &case);
    let case = issued("é@x.org", &["-I", "x", "-n", "é@x.org"]);
    oracle.differs("certificate-principal", &case);
    let case = issued("*@x.org", &["-I", "x", "-n", "*@x.org"]);
    oracle.differs("certificate-principal", &case);

    let mut plain = good.clone();
    plain.signers = format!("alice {authority}\n").into_bytes();
    oracle.neither("not an authority", &plain);
    plain.signers = format!("alice {}\n", oracle.public("ed25519")).into_bytes();
    oracle.neither("the key in it alone", &plain);
    plain.signers = [format!("bob {}\n", oracle.public("ed25519")), line.clone()]
        .concat()
        .into_bytes();
    oracle.differs("certificate-key", &plain);

    oracle.certified("ed25519", "ca", &["-I", "laptop", "-n", "alice"]);
    let certificate = oracle.read("ed25519-cert.pub");
    let armoured = oracle.sign("ed25519-cert.pub", &SIGN);
    let case = Case::of("alice", &format!("alice {certificate}"), &armoured);
    oracle.differs("certificate-line", &case);
    flips(&unarmoured(&armoured), 30, |at, blob| {
        oracle.compare(
            &format!("certificate, bit {at}"),
            &Case::of("alice", &line, &armour(&blob)),
        );
    });

    let by_rsa = |options: &[&str]| {
        let options = [&["-I", "x", "-n", "alice"], options].concat();
        let armoured = oracle.certified("ed25519", "rsa3072", &options);
        let line = format!("alice cert-authority {}\n", oracle.public("rsa3072"));
        Case::of("alice", &line, &armoured)
    };
    oracle.both("an RSA authority", &by_rsa(&[]));
    oracle.differs("rsa", &by_rsa(&[]).rules(|rules| rules.rsa = false));
    oracle.differs("rsa-sha1-authority", &by_rsa(&["-t", "ssh-rsa"]));
    hardware_certificates(oracle);
}

fn hardware_certificates(oracle: &Oracle) {
    let authority = Authenticator::sk_ecdsa(9);
    let line = format!("* cert-authority {}\n", authority.line());
    for key in [Authenticator::sk_ed25519(1), Authenticator::sk_ecdsa(1)] {
        let with = |change: fn(&mut CertificateDraft<'_>)| {
            let mut draft = certify(&key, &authority);
            change(&mut draft);
            let certified = key.clone().certified(&draft);
            Case::of("alice", &line, &certified.sign(TEXT)).rules(|rules| rules.software.clear())
        };
        oracle.both("by hardware, for hardware", &with(|_| ()));
        let demanding = with(|draft| draft.demand("verify-required", b""));
        oracle.both("with its PIN", &demanding);
        oracle.neither("of type 3", &with(|draft| draft.kind = 3));
        oracle.neither("expired", &with(|draft| draft.valid.1 = NOW));
    }
}
