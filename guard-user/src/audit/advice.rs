//! What to do about operations that enforcing would block.

use super::wouldblock::Group;

/// Grants of `tools.extra`, by the flag of the device that they are for.
const GRANTS: &[(&str, &str)] = &[
    ("lvm-pv", "lvm"),
    ("md-member", "md-member"),
    ("ext-mounted", "ext-online"),
];

/// Programs that do whatever they are told: trusting one trusts everybody.
const GENERAL: &[&str] = &[
    "bash", "busybox", "cat", "cp", "dash", "dd", "perl", "sh", "socat", "tee", "zsh",
];

/// Sentences, the first of which holds for every group.
pub fn advice(group: &Group) -> Vec<String> {
    let mut advice =
        vec!["A mistake? Nothing is to be done: once it is enforced, it is refused.".to_owned()];
    let unit = group.program.unit.as_deref();
    if let Some(unit) = unit.filter(|unit| group.count > 1 && unit.ends_with(".service")) {
        advice.push(format!("Made again and again? {unit} starts it."));
    }
    if group.reasons.contains("unknown-device") {
        advice.push(
            "The device was not classified yet. That passes within a second of its appearing; \
             where it does not, see: dbguard status"
                .to_owned(),
        );
    }
    if let Some(release) = release(group) {
        advice.push(release);
    }
    match group.object.kind.as_str() {
        "block" | "char" => advice.extend(for_device(group)),
        _ => advice.push(format!(
            "Part of how this host is run? [ops] {} = \"allow\" lets the whole class through and \
             records it; \"observe\" goes on watching.",
            group.op
        )),
    }
    advice
}

/// Where nothing but memory, a mark or the held state protects the device.
fn release(group: &Group) -> Option<String> {
    let why = group.object.why.first().map_or("", String::as_str);
    let held = group.example.state == "held";
    let kept = why.starts_with("remembered") || why.starts_with("marked");
    if kept {
        return Some(format!(
            "Is its data no longer needed? dbguard release --confirm-host NAME {}",
            path_of(group)
        ));
    }
    held.then(|| {
        "Is the data of the database that ran here no longer needed? \
         dbguard release --confirm-host NAME"
            .to_owned()
    })
}

fn for_device(group: &Group) -> Vec<String> {
    let exe = &group.program.exe;
    match group.op.as_str() {
        "raw-write" => writer(group),
        "passthrough" if !group.reasons.contains("opcode-not-read-only") && may_be_trusted(exe) => {
            vec![format!(
                "Does {exe} only ask the drive for its health? {}",
                extra(exe, "drive-query")
            )]
        }
        _ => vec![
            "Planned maintenance? No program is trusted with it: move the data away, stop the \
             database and release the host first."
                .to_owned(),
        ],
    }
}

fn writer(group: &Group) -> Vec<String> {
    let exe = &group.program.exe;
    if !may_be_trusted(exe) {
        return vec![
            "Meant so? This program does whatever it is told and cannot be trusted as a tool: \
             give the work to one of its own, or release the host for it."
                .to_owned(),
        ];
    }
    let grant = GRANTS
        .iter()
        .find(|(flag, _)| group.object.flags.iter().any(|known| known == flag));
    let mut advice = Vec::new();
    if let Some((_, grant)) = grant {
        advice.push(format!(
            "Does {exe} keep this host's storage going? {}",
            extra(exe, grant)
        ));
    }
    advice.push(format!(
        "Is {exe} a database server that writes the device without a file system? \
         [engines] executables = [\"{exe}\"], raw_devices = [\"{}\"]",
        path_of(group)
    ));
    advice
}

fn extra(exe: &str, grant: &str) -> String {
    format!("[tools] extra = [{{ path = \"{exe}\", grants = [\"{grant}\"] }}]")
}

/// A path, and not that of a program that does whatever it is told.
fn may_be_trusted(exe: &str) -> bool {
    let name = exe.rsplit('/').next().unwrap_or(exe);
    exe.starts_with('/')
        && !exe.ends_with(" (deleted)")
        && !GENERAL.contains(&name)
        && !name.starts_with("python")
}

fn path_of(group: &Group) -> String {
    let name = &group.object.name;
    if name.starts_with('/') {
        name.clone()
    } else {
        format!("/dev/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::wouldblock::tests::{denial, read, record};
    use crate::audit::denial::Denial;
    use crate::audit::record::Body;

    fn said(change: impl Fn(&mut Denial)) -> String {
        let mut denial = denial("would-deny", "/opt/raid/cli", "sda");
        change(&mut denial);
        let mut found = read(&[record(1, "observe", Body::Denial(Box::new(denial)))]);
        let groups = found.groups();
        groups[0].advice.join("\n")
    }

    #[test]
    fn a_tool_is_trusted_with_what_it_needs() {
        let text = said(|denial| denial.object.flags = vec!["in-use".into(), "lvm-pv".into()]);
        assert!(
            text.contains("[tools] extra = [{ path = \"/opt/raid/cli\", grants = [\"lvm\"] }]"),
            "{text}"
        );
        assert!(text.contains("raw_devices = [\"/dev/sda\"]"), "{text}");
        let text = said(|denial| {
            denial.op = "passthrough".into();
        });
        assert!(text.contains("grants = [\"drive-query\"]"), "{text}");
    }

    #[test]
    fn nobody_is_told_to_trust_what_does_anything() {
        for exe in ["/bin/dd", "/usr/bin/python3.11", "dd", "/tmp/x (deleted)"] {
            let text = said(|denial| denial.process.exe = exe.into());
            assert!(!text.contains("[tools]"), "{exe}: {text}");
            assert!(!text.contains("[engines]"), "{exe}: {text}");
        }
        let text = said(|denial| {
            denial.op = "passthrough".into();
            denial.reason = "opcode-not-read-only".into();
        });
        assert!(
            text.contains("release the host") && !text.contains("[tools]"),
            "{text}"
        );
    }

    #[test]
    fn what_is_only_remembered_can_be_released() {
        let text = said(|denial| denial.object.why = vec!["remembered: carried /srv".into()]);
        assert!(
            text.contains("dbguard release --confirm-host NAME /dev/sda"),
            "{text}"
        );
        assert!(!said(|_| {}).contains("--confirm-host"));
    }

    #[test]
    fn what_is_no_device_has_a_class_to_allow() {
        let text = said(|denial| {
            denial.op = "kexec".into();
            denial.object.kind = "system".into();
        });
        assert!(text.contains("[ops] kexec = \"allow\""), "{text}");
    }
}
