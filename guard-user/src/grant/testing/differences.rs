//! What is refused here alone.

/// What ssh-keygen accepts and this program does not: a name, what it is, why. The rows of
/// docs/break-glass.md, section "Differences from ssh-keygen -Y verify".
pub const DIFFERENCES: [(&str, &str, &str); 30] = [
    (
        "touch",
        "a hardware key that nobody touched (flag 0x01)",
        "a key left in its socket would sign for whoever asks",
    ),
    (
        "pin",
        "a hardware key that did not ask for its PIN (flag 0x04)",
        "`require_pin`; a stolen key, or one reached through a forwarded agent, would do",
    ),
    (
        "application",
        "hardware keys of any application",
        "`applications`; a key for something else was not given out for this",
    ),
    (
        "software",
        "software keys",
        "`software_keys`; root on any host could use them through a forwarded agent",
    ),
    ("rsa", "RSA keys", "`rsa`, off by default"),
    (
        "rsa-length",
        "RSA keys of fewer than 3072 or more than 4096 bits",
        "too weak; not supported",
    ),
    (
        "rsa-sha1-authority",
        "certificates signed with `ssh-keygen -t ssh-rsa`",
        "SHA-1",
    ),
    (
        "weak-key",
        "Ed25519 keys of low order",
        "everybody can sign with them",
    ),
    (
        "numbers",
        "numbers with zeros in front, in ECDSA signatures",
        "one form for each",
    ),
    ("version", "a signature of version 0", "there is none"),
    (
        "reserved",
        "bytes in the reserved field",
        "the signature does not cover them",
    ),
    (
        "armour",
        "text behind the end of the armour, and other white space in it than blanks and line ends",
        "what was pasted is what is verified",
    ),
    (
        "critical-option",
        "certificates with critical options: any but `verify-required`, and that one for a key without PIN",
        "`force-command` and `source-address` are about logins; the other is what it says",
    ),
    (
        "certificate-key",
        "a certificate for a key that the files give to another person",
        "one key must not count as two persons",
    ),
    (
        "certificate-line",
        "a certificate as the key of a line",
        "its validity would not be checked",
    ),
    (
        "pattern",
        "patterns as principals of a plain key",
        "two signers could not be told apart",
    ),
    (
        "shared-key",
        "one key under two persons",
        "one signer would count as two",
    ),
    (
        "shared-name",
        "one name, whatever its case, for two persons",
        "one signer would count as two",
    ),
    (
        "not-plain",
        "principals in quotes, or beyond plain ASCII",
        "letters that look alike would name others",
    ),
    (
        "time-zone",
        "times without `Z`",
        "they would mean another moment on each host",
    ),
    (
        "no-such-time",
        "30 February, a second 60",
        "they are none; ssh-keygen counts on",
    ),
    (
        "repeated-option",
        "`cert-authority` twice",
        "a mistake of whoever wrote it",
    ),
    (
        "key-type",
        "a type before the key that is an algorithm for it (`rsa-sha2-512`)",
        "copy both from the .pub file",
    ),
    (
        "bad-line",
        "a line that cannot be understood, next to one that can",
        "ssh-keygen skips it; here the file authorises nobody and says why",
    ),
    (
        "bad-revocation",
        "a list of revocations with a key in it that is none: no point of its curve",
        "it was meant to revoke something",
    ),
    (
        "control",
        "control characters, NUL among them, and bytes that are not UTF-8, in lists and in certificates",
        "programs disagree about where such a line ends",
    ),
    (
        "certificate-principal",
        "a principal of a certificate beyond plain ASCII, or with `,`, `*`, `?` or `!` in it",
        "a person's name is looked at, and is no pattern",
    ),
    (
        "rsa-short-signature",
        "RSA signatures shorter than the modulus",
        "RFC 8017 has none; not tried in the test",
    ),
    (
        "webauthn",
        "signatures of browsers (`webauthn-sk-ecdsa-sha2-nistp256@openssh.com`)",
        "a web page could have asked for them; not tried in the test",
    ),
    (
        "long",
        "lines over 16 KiB, files over 4 MiB, signatures over 64 KiB",
        "no key and no signature is as long",
    ),
];
