use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::audit::enrich::dev_of_text;
use crate::audit::record::Denial;
use crate::cli::exit::{Exit, Failure, unexpected};
use crate::cli::{Output, why};
use crate::control::{self, Answer, Ask, Asked, Request, Target};
use crate::grant::NAMESPACE;
use crate::topology::kernel_dev;

/// Make a request for an override: text that people sign
///
/// The text goes to standard output, what to do with it to standard error. With EVENT it is about what
/// was refused there; otherwise name the object and the operation classes.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct Args {
    /// The refusal that it is about, such as E-7K2Q
    #[arg(group = "what")]
    event: Option<String>,
    /// A block device, or a passthrough node of one
    #[arg(long, value_name = "PATH", group = "what")]
    device: Option<PathBuf>,
    /// The host: what it boots from, its kernel, firmware, BMC, mounts
    #[arg(long, group = "what", conflicts_with = "device")]
    host: bool,
    /// Operation class; may be given several times (beside EVENT: more than was refused there)
    #[arg(long = "op", value_name = "OP")]
    ops: Vec<String>,
    #[command(flatten)]
    reasons: Reasons,
    /// Commands that may be run under it
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
}

/// Exercise the chain: a request like any other, that opens nothing
///
/// Have it signed and apply it; the drill is recorded.
#[derive(Debug, clap::Args)]
pub struct DrillArgs {
    #[command(flatten)]
    reasons: Reasons,
}

#[derive(Debug, clap::Args)]
struct Reasons {
    /// Ticket of the incident
    #[arg(long, value_name = "TICKET")]
    incident: String,
    /// Why, in words for whoever signs and whoever reviews
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Life of the request, and of what it opens, in minutes from now
    #[arg(long, value_name = "N")]
    minutes: Option<u32>,
    /// Show the request as a QR code too, for a console that nothing can be copied from
    #[arg(long)]
    qr: bool,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    let (event, target, mut ops) = match &args.event {
        Some(event) => {
            let (id, denial) = why::refusal(event)?;
            let target = target_of(&denial)?;
            (Some(id), target, vec![denial.op])
        }
        None => (None, Target::Host, Vec::new()),
    };
    let target = match (&args.device, args.host) {
        (Some(path), _) => device(path)?,
        (None, true) => Target::Host,
        (None, false) => target,
    };
    ops.extend(args.ops.iter().cloned());
    ask(
        &args.reasons,
        Ask {
            event,
            target,
            ops,
            uses: args.uses,
            ..empty(&args.reasons)
        },
    )
}

pub fn drill(args: &DrillArgs) -> Result<Output, Failure> {
    ask(&args.reasons, empty(&args.reasons))
}

fn empty(reasons: &Reasons) -> Ask {
    Ask {
        event: None,
        target: Target::Drill,
        ops: Vec::new(),
        incident: reasons.incident.clone(),
        reason: reasons.reason.clone(),
        minutes: reasons.minutes,
        uses: 1,
    }
}

fn ask(reasons: &Reasons, ask: Ask) -> Result<Output, Failure> {
    match control::ask(&Request::OverrideRequest(ask))? {
        Answer::Asked(asked) => {
            crate::cli::tell(&next_steps(&asked, reasons.qr)?);
            Ok(Output::ok(asked.text))
        }
        other => Err(unexpected(other)),
    }
}

/// What to do next, ready to paste.
fn next_steps(asked: &Asked, qr: bool) -> Result<String, Failure> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for remark in &asked.remarks {
        let _ = writeln!(text, "note: {remark}");
    }
    if qr {
        text.push_str(&crate::cli::qr::of(&asked.text)?);
    }
    let request = crate::grant::request::Request::parse(asked.text.as_bytes())
        .map_err(|error| Failure::new(Exit::INTERNAL, error.to_string()))?;
    let people = match request.signers {
        1 => "One person signs".to_owned(),
        many => format!("{many} different people sign"),
    };
    let _ = write!(
        text,
        "{people}, on their own machine, within {} minutes; the text above to a file, unchanged:
  dbguard override sign r.txt
  ssh-keygen -Y sign -f ~/.ssh/id_ed25519_sk -n {NAMESPACE} r.txt     (the same, without dbguard)
Then here:
  dbguard override apply r.txt r.txt.sig
",
        request.minutes
    );
    Ok(text)
}

/// What was refused, as an object of an override.
fn target_of(denial: &Denial) -> Result<Target, Failure> {
    let object = &denial.object;
    let is_char = object.kind == "char";
    match object.kind.as_str() {
        // A node that steers the machine is the host's.
        "char" if object.class != "protected" => Ok(Target::Host),
        "block" | "char" => {
            let dev = dev_of_text(&object.dev).ok_or_else(|| {
                Failure::new(
                    Exit::NO_INPUT,
                    format!("that record has no device number: {}", object.dev),
                )
            })?;
            Ok(Target::Device {
                is_char,
                dev,
                diskseq: (object.diskseq != 0).then_some(object.diskseq),
            })
        }
        _ => Ok(Target::Host),
    }
}

fn device(path: &Path) -> Result<Target, Failure> {
    let failed = |what: &str| Failure::new(Exit::NO_INPUT, format!("{}: {what}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| failed(&error.to_string()))?;
    let kind = metadata.file_type();
    if !kind.is_block_device() && !kind.is_char_device() {
        return Err(failed(
            "is no device; for files that the machine boots from, and the like: --host",
        ));
    }
    Ok(Target::Device {
        is_char: kind.is_char_device(),
        dev: kernel_dev(metadata.rdev()),
        diskseq: None,
    })
}
