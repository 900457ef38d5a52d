//! What is fuzzed: each target takes any bytes and says what is wrong with the answer to them.

use std::sync::LazyLock;

use guard_abi::Op;
use sha2::{Digest, Sha512};

use super::super::envelope::signed;
use super::super::request::{Object, Request};
use super::super::wire::{Wire, WireError, put_string, sha256};
use super::{Authenticator, Case, PIN, Reference, TEXT, TOUCHED, armour, certify};

/// A parser that reads what anybody may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A request that comes back: read only as it was written.
    Request,
    /// `allowed_signers`, for two good signatures.
    Signers,
    /// A signature; the first byte says how the others are made one.
    Token,
    /// A list of revocations, for two good signatures.
    Revoked,
}

/// The key of alice in every target, and those that sign for [`Target::Token`].
static KEYS: LazyLock<[Authenticator; 3]> = LazyLock::new(|| {
    [
        Authenticator::ed25519(1),
        Authenticator::sk_ed25519(1),
        Authenticator::sk_ecdsa(1),
    ]
});

/// The authority of the certificates.
static AUTHORITY: LazyLock<Authenticator> = LazyLock::new(|| Authenticator::sk_ecdsa(9));

/// One whose certificates cost little to verify.
static QUICK: LazyLock<Authenticator> = LazyLock::new(|| Authenticator::ed25519(9));

/// A list with all of them.
static SIGNERS: LazyLock<String> = LazyLock::new(|| {
    let alice = KEYS[..2].iter().fold(String::new(), |text, key| {
        text + &format!("alice {}\n", key.line())
    });
    let authorities = [AUTHORITY.line(), QUICK.line()];
    let authority = |line: &String| format!("* cert-authority {line}\n");
    alice + &authorities.each_ref().map(authority).concat()
});

/// A good signature, and one with a certificate.
static GOOD: LazyLock<[String; 2]> = LazyLock::new(|| {
    let certified = Authenticator::ed25519(2);
    let certificate = certify(&certified, &QUICK);
    let certified = certified.clone().certified(&certificate);
    [KEYS[0].sign(TEXT), certified.sign(TEXT)]
});

impl Target {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Request, Self::Signers, Self::Token, Self::Revoked];

    /// The name of its corpus and of its program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Signers => "signers",
            Self::Token => "token",
            Self::Revoked => "revoked",
        }
    }

    /// Reads the bytes, and compares.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(self, bytes: &[u8], reference: &impl Reference) -> Result<(), String> {
        match self {
            Self::Request => request(bytes),
            Self::Signers => GOOD.iter().try_for_each(|good| {
                let mut case = Case::of("alice", "", good);
                case.signers = bytes.to_vec();
                case.agreed(reference)
            }),
            Self::Token => {
                let Some((&how, bytes)) = bytes.split_first() else {
                    return Ok(());
                };
                let mut case = Case::of("alice", &SIGNERS, "");
                case.armoured = token(how, bytes);
                case.agreed(reference)
            }
            Self::Revoked => GOOD.iter().try_for_each(|good| {
                let case = Case::of("alice", &SIGNERS, good).revoked(bytes);
                if is_beyond_openssh(bytes) {
                    // Nothing to compare with; it must end.
                    let _ = case.here();
                    return Ok(());
                }
                case.agreed(reference)
            }),
        }
    }

    /// Bytes to begin with, each with a name: what every part of the parser is reached from.
    pub fn seeds(self) -> Vec<(String, Vec<u8>)> {
        match self {
            Self::Request => requests(),
            Self::Signers => vec![("all".to_owned(), SIGNERS.clone().into_bytes())],
            Self::Token => token_seeds(),
            Self::Revoked => KEYS
                .iter()
                .map(|key| (format!("{}-line", key.type_name()), key.line().into_bytes()))
                .collect(),
        }
    }
}

/// Whether a text has what this program alone understands, or what OpenSSH has ceased to
/// (docs/break-glass.md, below the table): ssh-keygen takes nobody's signature then.
fn is_beyond_openssh(text: &[u8]) -> bool {
    const ALONE: [&[u8]; 6] = [
        b"SHA256:", b"hash:", b"key:", b"sha1:", b"sha256:", b"ssh-dss",
    ];
    text.split(|byte| *byte == b'\n').any(|line| {
        let begins = |word: &&[u8]| line.trim_ascii_start().starts_with(word);
        ALONE.iter().any(begins)
    })
}

fn request(bytes: &[u8]) -> Result<(), String> {
    match Request::parse(bytes) {
        Ok(request) if request.render().as_bytes() != bytes => {
            Err("it is read, and would be written in another way".to_owned())
        }
        _ => Ok(()),
    }
}

/// Armour of the bytes: they are armour (0), what is in it (1), or that with signatures made anew
/// (2 and more, by the key of that number), so that a change of what is signed is looked at beyond
/// the arithmetic.
fn token(how: u8, bytes: &[u8]) -> Vec<u8> {
    let blob = match how % 5 {
        0 => return bytes.to_vec(),
        1 => bytes.to_vec(),
        number => {
            resigned(&KEYS[usize::from(number - 2)], bytes).unwrap_or_else(|_| bytes.to_vec())
        }
    };
    armour(&blob).into_bytes()
}

/// The same fields, signed by this key; by a certificate, that by the authority.
fn resigned(key: &Authenticator, blob: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut wire = Wire::new(blob);
    wire.bytes(10, "its beginning")?;
    let mut out = blob[..10].to_vec();
    let public = wire.string("its key")?;
    put_string(
        &mut out,
        &recertified(public).unwrap_or_else(|_| public.to_vec()),
    );
    let namespace = wire.text("its namespace")?;
    put_string(&mut out, namespace.as_bytes());
    put_string(&mut out, wire.string("its reserved field")?);
    let hash = wire.text("its hash")?;
    put_string(&mut out, hash.as_bytes());
    let old = wire.string("its signature")?;
    let digest = match hash {
        "sha512" => Sha512::digest(TEXT).to_vec(),
        _ => sha256(TEXT).to_vec(),
    };
    let mut key = key.clone();
    if let Some(&[flags, a, b, c, d]) = old.last_chunk() {
        key = key.flags(flags);
        key.counter = u32::from_be_bytes([a, b, c, d]);
    }
    put_string(&mut out, &key.raw(&signed(namespace, hash, &digest)));
    out.extend_from_slice(wire.rest());
    Ok(out)
}

/// A certificate with the authority's signature over what stands before it.
fn recertified(blob: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut wire = Wire::new(blob);
    let strings = match wire.text("its type")? {
        "ssh-ed25519-cert-v01@openssh.com" => 1,
        "sk-ssh-ed25519-cert-v01@openssh.com" => 2,
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com" => 3,
        _ => return Err(WireError::NotText("its type")),
    };
    wire.string("its nonce")?;
    for _ in 0..strings {
        wire.string("its key")?;
    }
    wire.u64("its serial number")?;
    wire.u32("its kind")?;
    wire.string("its key id")?;
    wire.string("its principals")?;
    wire.u64("its validity")?;
    wire.u64("its validity")?;
    for what in [
        "its options",
        "its extensions",
        "its reserved field",
        "its authority",
    ] {
        wire.string(what)?;
    }
    let mut out = blob[..blob.len() - wire.rest().len()].to_vec();
    let signature = AUTHORITY.raw(&out);
    put_string(&mut out, &signature);
    Ok(out)
}

fn requests() -> Vec<(String, Vec<u8>)> {
    let host = Request {
        object: Object::Host,
        ops: vec![Op::Kexec],
        ..super::request()
    };
    let drill = Request {
        object: Object::Drill,
        ops: Vec::new(),
        ..super::request()
    };
    [
        ("device", super::request()),
        ("host", host),
        ("drill", drill),
    ]
    .map(|(name, request)| (name.to_owned(), request.render().into_bytes()))
    .to_vec()
}

fn token_seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |how: u8, name: &str, armoured: &str| {
        let bytes = if how == 0 {
            armoured.as_bytes().to_vec()
        } else {
            super::unarmoured(armoured)
        };
        seeds.push((format!("{name}-{how}"), [&[how], bytes.as_slice()].concat()));
    };
    for (how, key) in (2..).zip(KEYS.iter()) {
        for how in [0, 1, how] {
            add(how, key.type_name(), &key.sign(TEXT));
            let mut draft = certify(key, &AUTHORITY);
            let plain = key.clone().certified(&draft);
            add(
                how,
                &format!("{}-certified", key.type_name()),
                &plain.sign(TEXT),
            );
            draft.demand("verify-required", b"");
            let demanding = key.clone().certified(&draft).flags(TOUCHED | PIN);
            add(
                how,
                &format!("{}-demanding", key.type_name()),
                &demanding.sign(TEXT),
            );
        }
    }
    seeds
}
