use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::exit::{Exit, Failure};
use crate::cli::{Output, text};
use crate::grant::NAMESPACE;
use crate::grant::request::{Object, Request, ops_text};

/// Sign a request, on your own machine
///
/// Shows what it would open and asks for the name of the host before ssh-keygen signs it. The signature
/// goes to REQUEST.sig. Needs no dbguard service here.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The request
    request: PathBuf,
    /// Key to sign with; the first hardware key in ~/.ssh where nothing is said
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The host's name, typed already
    #[arg(long, value_name = "NAME")]
    confirm_host: Option<String>,
}

/// Names that ssh-keygen gives to keys in hardware (ssh-keygen(1), FILES).
const HARDWARE_KEYS: [&str; 2] = ["id_ed25519_sk", "id_ecdsa_sk"];

pub fn run(args: &Args) -> Result<Output, Failure> {
    let bytes = super::read(&args.request)?;
    let request = Request::parse(&bytes).map_err(|error| {
        Failure::new(
            Exit::NO_INPUT,
            format!("{}: {error}", args.request.display()),
        )
    })?;
    let key = match &args.key {
        Some(key) => key.clone(),
        None => usual_key()?,
    };
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "{}", shown(&request));
    let typed = match &args.confirm_host {
        Some(name) => name.clone(),
        None => ask_for_host(&mut out)?,
    };
    if typed.trim() != request.host {
        return Err(Failure::new(
            Exit::USAGE,
            format!(
                "the request is for '{}', not for '{}'; nothing was signed",
                request.host,
                typed.trim()
            ),
        ));
    }
    drop(out);
    sign(&key, &args.request)?;
    Ok(Output::ok(format!(
        "signed: {0}.sig\nback on {1}:\n  dbguard override apply {0} {0}.sig\n",
        args.request.display(),
        request.host
    )))
}

fn ask_for_host(out: &mut impl Write) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::USAGE,
            "nobody can be asked for the host's name here; say it with --confirm-host NAME",
        ));
    }
    let _ = write!(out, "Type the name of the host to sign: ");
    let _ = out.flush();
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::new(Exit::NO_INPUT, format!("reading the answer: {error}")))?;
    Ok(line)
}

/// One screen: what is opened, on what, for whom, and what is not.
fn shown(request: &Request) -> String {
    let object = match &request.object {
        Object::Host => {
            "the host itself: what it boots from, its kernel, firmware, BMC, mounts".to_owned()
        }
        Object::Drill => "nothing: this is a drill".to_owned(),
        Object::Device(device) => format!(
            "{}, {} MiB, wwid {}, serial {}",
            device.name,
            device.bytes >> 20,
            device.wwid,
            device.serial
        ),
    };
    let commands = if request.uses == 1 {
        "one command"
    } else {
        "commands"
    };
    let rows = [
        (
            "host",
            format!("{} (machine-id {})", request.host, request.machine_id),
        ),
        ("opens", ops_text(&request.ops)),
        ("on", object),
        ("carries", request.carries.clone()),
        (
            "host is",
            format!("{}, role {}", request.state, request.role),
        ),
        (
            "asked by",
            format!("{}, at {}", request.requester, request.asked),
        ),
        (
            "because",
            format!("{}: {}", request.incident, request.reason),
        ),
        ("refusal", request.event.clone()),
        (
            "for",
            format!(
                "{} {commands}, until {} minutes after it was asked",
                request.uses, request.minutes
            ),
        ),
        ("signers", request.signers.to_string()),
        (
            "not",
            "anything else on this host, any other host, any other process".to_owned(),
        ),
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(label, text)| vec![label.to_owned(), text])
        .collect();
    format!(
        "You are asked to sign this:\n\n{}",
        text::columns(&rows, "  ")
    )
}

fn usual_key() -> Result<PathBuf, Failure> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let found = HARDWARE_KEYS
        .iter()
        .map(|name| home.join(".ssh").join(name))
        .find(|path| path.exists());
    found.ok_or_else(|| {
        Failure::new(
            Exit::NO_INPUT,
            format!(
                "no {} in {}/.ssh; name your key with --key FILE",
                HARDWARE_KEYS.join(" or "),
                home.display()
            ),
        )
    })
}

fn sign(key: &Path, request: &Path) -> Result<(), Failure> {
    let status = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .arg(request)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(
            Exit::TRY_AGAIN,
            format!("ssh-keygen has not signed ({status}); what it said stands above"),
        )),
        Err(error) => Err(Failure::new(
            Exit::NO_INPUT,
            format!("ssh-keygen: {error}; install OpenSSH's client (8.2 or later)"),
        )),
    }
}
