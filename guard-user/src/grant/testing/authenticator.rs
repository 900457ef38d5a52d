//! A software authenticator: makes the keys, certificates and signatures that no tool would make.

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer as _, SigningKey};
use p256::ecdsa::{Signature as P256Signature, SigningKey as P256Key};

use super::super::NAMESPACE;
use super::super::envelope::signed;
use super::super::key::Told;
use super::super::wire::{Wire, put_string, sha256};

/// Somebody touched the key.
pub const TOUCHED: u8 = 0x01;
/// Its PIN was asked for.
pub const PIN: u8 = 0x04;

#[derive(Clone)]
enum Secret {
    Ed25519(Box<SigningKey>),
    SkEd25519(Box<SigningKey>),
    SkEcdsa(Box<P256Key>),
}

/// A private key, and how it behaves.
#[derive(Clone)]
pub struct Authenticator {
    secret: Secret,
    /// What a hardware key was made for.
    pub application: String,
    /// What it tells of touch and PIN.
    pub flags: u8,
    /// How often it says it has signed.
    pub counter: u32,
    /// Numbers of ECDSA signatures begin with a zero too many.
    pub padded: bool,
    /// What stands in for the public key: a certificate.
    pub certificate: Option<Vec<u8>>,
}

impl Authenticator {
    fn with(secret: Secret) -> Self {
        Self {
            secret,
            application: "ssh:".to_owned(),
            flags: TOUCHED | PIN,
            counter: 7,
            padded: false,
            certificate: None,
        }
    }

    /// A software key.
    pub fn ed25519(seed: u8) -> Self {
        Self::with(Secret::Ed25519(Box::new(SigningKey::from_bytes(
            &[seed; 32],
        ))))
    }

    /// A hardware key.
    pub fn sk_ed25519(seed: u8) -> Self {
        Self::with(Secret::SkEd25519(Box::new(SigningKey::from_bytes(
            &[seed; 32],
        ))))
    }

    /// A hardware key.
    pub fn sk_ecdsa(seed: u8) -> Self {
        let key = P256Key::from_slice(&[seed; 32]).expect("below the order of the curve");
        Self::with(Secret::SkEcdsa(Box::new(key)))
    }

    /// Tells this of touch and PIN.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// Made for this.
    #[must_use]
    pub fn application(mut self, application: &str) -> Self {
        application.clone_into(&mut self.application);
        self
    }

    /// Signs with a certificate.
    #[must_use]
    pub fn certified(mut self, certificate: &CertificateDraft<'_>) -> Self {
        self.certificate = Some(certificate.blob());
        self
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.secret {
            Secret::Ed25519(_) => "ssh-ed25519",
            Secret::SkEd25519(_) => "sk-ssh-ed25519@openssh.com",
            Secret::SkEcdsa(_) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// What follows the type in its public key.
    fn fields(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.secret {
            Secret::Ed25519(key) => put_string(&mut out, key.verifying_key().as_bytes()),
            Secret::SkEd25519(key) => {
                put_string(&mut out, key.verifying_key().as_bytes());
                put_string(&mut out, self.application.as_bytes());
            }
            Secret::SkEcdsa(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                put_string(&mut out, b"nistp256");
                put_string(&mut out, point.as_bytes());
                put_string(&mut out, self.application.as_bytes());
            }
        }
        out
    }

    /// Its public key.
    pub fn public(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, self.type_name().as_bytes());
        out.extend(self.fields());
        out
    }

    /// `type base64`.
    pub fn line(&self) -> String {
        public_line(&self.public())
    }

    /// A signature over bytes, in its SSH encoding.
    pub fn raw(&self, message: &[u8]) -> Vec<u8> {
        let told = Told {
            flags: self.flags,
            counter: self.counter,
        };
        let by_hardware = || told.signed(&self.application, message);
        let mut out = Vec::new();
        put_string(&mut out, self.type_name().as_bytes());
        match &self.secret {
            Secret::Ed25519(key) => {
                put_string(&mut out, &key.sign(message).to_bytes());
                return out;
            }
            Secret::SkEd25519(key) => put_string(&mut out, &key.sign(&by_hardware()).to_bytes()),
            Secret::SkEcdsa(key) => {
                let signature: P256Signature = key.sign(&by_hardware());
                let (r, s) = signature.split_bytes();
                let mut numbers = Vec::new();
                for number in [mpint(&r), mpint(&s)] {
                    let zero: &[u8] = if self.padded { &[0] } else { &[] };
                    put_string(&mut numbers, &[zero, &number].concat());
                }
                put_string(&mut out, &numbers);
            }
        }
        out.push(told.flags);
        out.extend_from_slice(&told.counter.to_be_bytes());
        out
    }

    /// What `ssh-keygen -Y sign -n override@dbguard` writes.
    pub fn sign(&self, text: &[u8]) -> String {
        Draft::of(self).armoured(text)
    }
}

/// A positive number as RFC 4251 has it.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = bytes
        .iter()
        .copied()
        .skip_while(|&byte| byte == 0)
        .collect();
    if bytes.first().is_some_and(|&byte| byte & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    bytes
}

/// The fields of a signature, to be written in other ways than tools do.
pub struct Draft<'a> {
    /// Who signs.
    pub by: &'a Authenticator,
    /// 1.
    pub version: u32,
    /// What for.
    pub namespace: &'a str,
    /// Nothing.
    pub reserved: &'a [u8],
    /// `sha256` or `sha512`.
    pub hash: &'a str,
    /// Behind everything.
    pub trailing: &'a [u8],
}

impl<'a> Draft<'a> {
    /// As ssh-keygen writes it.
    pub fn of(by: &'a Authenticator) -> Self {
        Self {
            by,
            version: 1,
            namespace: NAMESPACE,
            reserved: b"",
            hash: "sha256",
            trailing: b"",
        }
    }

    /// Signed.
    pub fn armoured(&self, text: &[u8]) -> String {
        let bytes = signed(self.namespace, self.hash, &sha256(text));
        let mut out = b"SSHSIG".to_vec();
        out.extend_from_slice(&self.version.to_be_bytes());
        let public = self.by.certificate.clone();
        put_string(&mut out, &public.unwrap_or_else(|| self.by.public()));
        put_string(&mut out, self.namespace.as_bytes());
        put_string(&mut out, self.reserved);
        put_string(&mut out, self.hash.as_bytes());
        put_string(&mut out, &self.by.raw(&bytes));
        out.extend_from_slice(self.trailing);
        armour(&out)
    }
}

/// The fields of a certificate.
pub struct CertificateDraft<'a> {
    key: &'a Authenticator,
    authority: &'a Authenticator,
    /// Serial number.
    pub serial: u64,
    /// 1 for users, 2 for hosts.
    pub kind: u32,
    /// Key id.
    pub id: &'a str,
    /// Whom it is for.
    pub principals: &'a [&'a str],
    /// From and until, seconds since 1970.
    pub valid: (u64, u64),
    /// Critical options.
    pub critical: Vec<(String, Vec<u8>)>,
}

/// A certificate for a key by an authority, for alice, without an end.
pub fn certify<'a>(key: &'a Authenticator, authority: &'a Authenticator) -> CertificateDraft<'a> {
    CertificateDraft {
        key,
        authority,
        serial: 5,
        kind: 1,
        id: "alice's laptop",
        principals: &["alice"],
        valid: (0, u64::MAX),
        critical: Vec::new(),
    }
}

impl CertificateDraft<'_> {
    /// Adds a critical option.
    pub fn demand(&mut self, option: &str, contents: &[u8]) {
        self.critical.push((option.to_owned(), contents.to_owned()));
    }

    /// Its SSH encoding, signed by its authority.
    pub fn blob(&self) -> Vec<u8> {
        let name = self.key.type_name();
        let name = name.strip_suffix("@openssh.com").unwrap_or(name);
        let mut principals = Vec::new();
        for principal in self.principals {
            put_string(&mut principals, principal.as_bytes());
        }
        let mut critical = Vec::new();
        for (name, contents) in &self.critical {
            put_string(&mut critical, name.as_bytes());
            put_string(&mut critical, contents);
        }
        let mut out = Vec::new();
        put_string(&mut out, format!("{name}-cert-v01@openssh.com").as_bytes());
        put_string(&mut out, &[3; 32]);
        out.extend(self.key.fields());
        out.extend_from_slice(&self.serial.to_be_bytes());
        out.extend_from_slice(&self.kind.to_be_bytes());
        put_string(&mut out, self.id.as_bytes());
        put_string(&mut out, &principals);
        out.extend_from_slice(&self.valid.0.to_be_bytes());
        out.extend_from_slice(&self.valid.1.to_be_bytes());
        put_string(&mut out, &critical);
        put_string(&mut out, b"");
        put_string(&mut out, b"");
        put_string(&mut out, &self.authority.public());
        let signature = self.authority.raw(&out);
        put_string(&mut out, &signature);
        out
    }
}

/// A key of any type, from its fields.
pub fn plain_blob(name: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_string(&mut out, name.as_bytes());
    for field in fields {
        put_string(&mut out, field);
    }
    out
}

/// `type base64` of a public key or certificate.
pub fn public_line(blob: &[u8]) -> String {
    let name = Wire::new(blob).text("its type").expect("a type");
    format!("{name} {}", Base64::encode_string(blob))
}

/// Armour as ssh-keygen writes it.
pub fn armour(blob: &[u8]) -> String {
    let text = Base64::encode_string(blob);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(70)
        .map(|line| str::from_utf8(line).expect("base 64"))
        .collect();
    format!(
        "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        lines.join("\n")
    )
}

/// What is inside armour.
pub fn unarmoured(armoured: &str) -> Vec<u8> {
    let letters: String = armoured
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    Base64::decode_vec(&letters).expect("base 64")
}
