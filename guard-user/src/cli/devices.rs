use super::exit::{Exit, Failure, unexpected};
use super::{Output, text};
use crate::audit::names::printable;
use crate::control::{Answer, Device, Request, ask};

/// Show every device with its protection and the reason
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Output, Failure> {
    match ask(&Request::Devices)? {
        Answer::Devices(devices) if args.json => serde_json::to_string_pretty(&devices)
            .map(|text| Output::ok(text + "\n"))
            .map_err(|error| Failure::new(Exit::INTERNAL, error.to_string())),
        Answer::Devices(devices) => Ok(Output::ok(show(&devices))),
        other => Err(unexpected(other)),
    }
}

fn show(devices: &[Device]) -> String {
    let mut rows = vec![
        ["DEVICE", "SIZE", "CLASS", "WHY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let known = |name: &String| devices.iter().any(|device| &device.name == name);
    for root in devices
        .iter()
        .filter(|device| !device.below.iter().any(known))
    {
        branch(devices, root, 0, &mut rows);
    }
    text::columns(&rows, "")
}

/// The weightiest reason; all of them are in the JSON.
pub fn first_reason(device: &Device) -> String {
    device
        .why
        .first()
        .map(|why| printable(why))
        .unwrap_or_default()
}

/// A device, then what lies on it. A device on several others (RAID, LVM) is shown below each.
fn branch(devices: &[Device], device: &Device, depth: usize, rows: &mut Vec<Vec<String>>) {
    /// Deeper than any stack; a loop in what the kernel tells ends here.
    const DEEPEST: usize = 16;
    let size = if device.kind == "char" {
        "-".to_owned()
    } else {
        text::size(device.bytes)
    };
    rows.push(vec![
        format!("{}{}", "  ".repeat(depth), device.name),
        size,
        device.class.clone(),
        first_reason(device),
    ]);
    if depth == DEEPEST {
        return;
    }
    for above in devices
        .iter()
        .filter(|other| other.below.contains(&device.name))
    {
        branch(devices, above, depth + 1, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, below: &[&str]) -> Device {
        Device {
            name: name.into(),
            kind: "block".into(),
            dev: "8:0".into(),
            class: "free".into(),
            flags: Vec::new(),
            why: Vec::new(),
            below: below.iter().map(|&name| name.to_owned()).collect(),
            bytes: 512 << 20,
        }
    }

    #[test]
    fn a_tree() {
        let devices = [
            device("sda", &[]),
            device("sda1", &["sda"]),
            device("dm-0", &["sda1"]),
        ];
        assert_eq!(
            show(&devices),
            "DEVICE    SIZE     CLASS  WHY\nsda       512 MiB  free\n  sda1    512 MiB  free\n    dm-0  512 MiB  free\n"
        );
    }

    #[test]
    fn a_loop_ends() {
        let devices = [
            device("r", &[]),
            device("a", &["b", "r"]),
            device("b", &["a"]),
        ];
        assert!(show(&devices).lines().count() < 100);
    }
}
