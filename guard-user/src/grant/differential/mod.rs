//! The same questions to this program and to `ssh-keygen -Y verify`: nothing that ssh-keygen refuses
//! is accepted here, and what is refused here alone has a name in [`DIFFERENCES`].
//!
//! `DBGUARD_FLIPS=15` in the environment changes 15 times as many bits (about a minute).

mod cases;
mod corpus;
mod files;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::NAMESPACE;
use super::testing::{Case, DIFFERENCES, NOW_WORDS, Reference, TEXT};

/// ssh-keygen(1), and the files that it reads.
struct Oracle {
    directory: tempfile::TempDir,
    runs: Cell<usize>,
    met: RefCell<BTreeSet<&'static str>>,
}

impl Oracle {
    /// `None` where there is no ssh-keygen.
    fn find() -> Option<Self> {
        let found = Command::new("ssh-keygen").arg("-?").output().is_ok();
        found.then(|| Self {
            directory: tempfile::tempdir().expect("a directory"),
            runs: Cell::new(0),
            met: RefCell::default(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect(name);
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    /// Whether it succeeds, and what it prints.
    fn run(&self, arguments: &[&str], input: &[u8]) -> (bool, String) {
        self.runs.set(self.runs.get() + 1);
        let mut child = Command::new("ssh-keygen")
            .args(arguments)
            .current_dir(self.directory.path())
            .env("TZ", "UTC")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ssh-keygen runs");
        // It may have refused before it reads.
        let _ = child.stdin.take().expect("its input").write_all(input);
        let output = child.wait_with_output().expect("ssh-keygen ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    }

    fn must(&self, arguments: &[&str], input: &[u8]) -> String {
        let (done, said) = self.run(arguments, input);
        assert!(done, "ssh-keygen {arguments:?}: {said}");
        said
    }

    /// A new key pair, `name` and `name.pub`; returns `type base64`.
    fn generate(&self, name: &str, options: &[&str]) -> String {
        let fixed = ["-q", "-N", "", "-C", "", "-f", name];
        self.must(&[&fixed, options].concat(), b"");
        self.public(name)
    }

    fn public(&self, name: &str) -> String {
        self.read(&format!("{name}.pub")).trim().to_owned()
    }

    fn sign(&self, key: &str, options: &[&str]) -> String {
        self.must(&[&["-Y", "sign", "-q", "-f", key], options].concat(), TEXT)
    }

    /// A signature with the key `name`, certified as wanted.
    fn certified(&self, name: &str, authority: &str, options: &[&str]) -> String {
        let public = format!("{name}.pub");
        let fixed = ["-q", "-s", authority];
        self.must(&[&fixed, options, &[public.as_str()]].concat(), b"");
        let certificate = format!("{name}-cert.pub");
        self.sign(&certificate, &["-n", NAMESPACE])
    }

    /// A binary list of revocations.
    fn krl(&self, specification: &str, options: &[&str]) -> Vec<u8> {
        self.write("specification", specification.as_bytes());
        let fixed = ["-k", "-q", "-f", "krl"];
        self.must(&[&fixed, options, &["specification"]].concat(), b"");
        fs::read(self.path("krl")).expect("the list")
    }

    /// Both accept it, and agree on who has signed.
    fn both(&self, what: &str, case: &Case) {
        let signed = case.here().unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(signed.person, case.principal, "{what}");
        assert!(self.accepts(case), "{what}: ssh-keygen refuses it");
    }

    /// Both refuse it.
    fn neither(&self, what: &str, case: &Case) {
        let here = case.here();
        assert!(here.is_err(), "{what}: accepted here: {here:?}");
        assert!(!self.accepts(case), "{what}: ssh-keygen accepts it");
    }

    /// ssh-keygen alone accepts it, and the difference has this name.
    fn differs(&self, name: &'static str, case: &Case) {
        let here = case.here();
        assert!(here.is_err(), "{name}: accepted here: {here:?}");
        assert!(
            self.accepts(case),
            "{name}: ssh-keygen refuses it, too; here: {here:?}"
        );
        assert!(
            DIFFERENCES.iter().any(|&(known, ..)| known == name),
            "{name}"
        );
        self.met.borrow_mut().insert(name);
    }

    /// Of something changed at random.
    fn compare(&self, what: &str, case: &Case) {
        if let Err(how) = case.agreed(self) {
            panic!("{what}: {how}");
        }
    }
}

impl Reference for Oracle {
    fn accepts(&self, case: &Case) -> bool {
        self.write("signers", &case.signers);
        self.write("signature", &case.armoured);
        let time = format!("-Overify-time={NOW_WORDS}");
        let mut arguments = vec!["-Y", "verify", &time, "-n", NAMESPACE, "-I"];
        arguments.extend([case.principal.as_str(), "-f", "signers", "-s", "signature"]);
        if let Some(revoked) = &case.revoked {
            self.write("revocations", revoked);
            arguments.extend(["-r", "revocations"]);
        }
        self.run(&arguments, &case.text).0
    }
}

/// Calls with a copy of the bytes that has one bit changed, about `count` times, all over.
fn flips(bytes: &[u8], count: usize, mut each: impl FnMut(usize, Vec<u8>)) {
    let bits = bytes.len() * 8;
    let more = std::env::var("DBGUARD_FLIPS").ok();
    let count = count * more.and_then(|more| more.parse().ok()).unwrap_or(1);
    // Relatively prime to 8, so that all bits of a byte have their turn.
    let step = bits.div_ceil(count) | 1;
    for at in (0..bits).step_by(step) {
        let mut changed = bytes.to_vec();
        changed[at / 8] ^= 1 << (at % 8);
        each(at, changed);
    }
}

#[test]
fn nothing_is_accepted_that_ssh_keygen_refuses() {
    let Some(oracle) = Oracle::find() else {
        eprintln!("skipped: there is no ssh-keygen here; apt-get install openssh-client");
        return;
    };
    cases::plain_keys(&oracle);
    cases::hardware_keys(&oracle);
    cases::certificates(&oracle);
    files::lines(&oracle);
    files::revocations(&oracle);
    corpus::replay(&oracle);
    let met = oracle.met.borrow();
    for (name, _, why) in DIFFERENCES {
        let untried = why.ends_with("not tried in the test");
        assert!(met.contains(name) != untried, "{name}: was it tried?");
    }
    eprintln!("asked ssh-keygen {} times", oracle.runs.get());
}

/// The page has the table as it stands here.
#[test]
fn the_page_has_every_difference() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/break-glass.md");
    let page = fs::read_to_string(page).expect("docs/break-glass.md");
    let rows: Vec<String> = DIFFERENCES
        .iter()
        .map(|(name, what, why)| format!("| {name} | {what} | {why} |"))
        .collect();
    let written: Vec<&str> = page
        .lines()
        .skip_while(|line| *line != "## Differences from ssh-keygen -Y verify")
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .take(rows.len())
        .collect();
    assert_eq!(written, rows, "the table should be:\n{}", rows.join("\n"));
}
