//! Unit and container of a process, from `/proc/PID/cgroup` (cgroups(7)).

/// Length to which people cut a container's id.
const SHORT_ID: usize = 12;

/// What the control group tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) container: Option<String>,
    pub(super) unit: Option<String>,
}

pub(super) fn parse(text: &str) -> Place {
    let mut place = Place::default();
    for line in text.lines() {
        // `0::/path`, or `N:controllers:/path` in the old hierarchies.
        let Some(path) = line.splitn(3, ':').nth(2) else {
            continue;
        };
        for part in path.split('/') {
            if let Some(container) = container_of(part) {
                place.container = Some(container);
            } else if is_unit(part) && place.container.is_none() {
                place.unit = Some(unescape(part));
            }
        }
        if let Some(rest) = path
            .strip_prefix("/docker/")
            .or_else(|| path.strip_prefix("/lxc/"))
        {
            let id = rest.split('/').next().unwrap_or(rest);
            place.container.get_or_insert_with(|| short(id).to_owned());
        }
    }
    place
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope"]
        .iter()
        .any(|suffix| part.ends_with(suffix))
        && !part.starts_with("init.")
        && !part.starts_with("user@")
}

fn container_of(part: &str) -> Option<String> {
    let scope = part.strip_suffix(".scope");
    for prefix in ["docker-", "libpod-", "cri-containerd-", "crio-"] {
        if let Some(id) = scope.and_then(|scope| scope.strip_prefix(prefix)) {
            return Some(short(id).to_owned());
        }
    }
    if let Some(name) = scope.and_then(|scope| scope.strip_prefix("machine-")) {
        return Some(unescape(name));
    }
    let nspawn = part
        .strip_prefix("systemd-nspawn@")?
        .strip_suffix(".service")?;
    Some(unescape(nspawn))
}

fn short(id: &str) -> &str {
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex {
        id.get(..SHORT_ID).unwrap_or(id)
    } else {
        id
    }
}

/// systemd's `\x2d` (systemd.unit(5)).
fn unescape(name: &str) -> String {
    name.replace("\\x2d", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_containers() {
        let id = "0123456789abcdef".repeat(4);
        for (text, container, unit) in [
            (
                "0::/system.slice/mariadb.service\n".to_owned(),
                None,
                Some("mariadb.service"),
            ),
            (
                format!("0::/system.slice/docker-{id}.scope\n"),
                Some("0123456789ab"),
                None,
            ),
            (
                format!("0::/machine.slice/libpod-{id}.scope/container\n"),
                Some("0123456789ab"),
                None,
            ),
            (format!("3:cpu:/docker/{id}\n"), Some("0123456789ab"), None),
            (
                "0::/machine.slice/systemd-nspawn@my\\x2ddb.service/payload".to_owned(),
                Some("my-db"),
                None,
            ),
            ("0::/init.scope".to_owned(), None, None),
            ("garbage".to_owned(), None, None),
        ] {
            let place = parse(&text);
            assert_eq!(place.container.as_deref(), container, "{text}");
            assert_eq!(place.unit.as_deref(), unit, "{text}");
        }
    }
}
