//! The guard as its operators meet it: the command line, the service, the pinned maps.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::case::skip;
use super::disk::until;
use super::shell::{self, Output, Script};

/// Where the kernel half's maps are pinned, in a directory for each version of the ABI.
pub const MAPS: &str = "/sys/fs/bpf/dbguard/maps";
/// The service.
pub const SERVICE: &str = "dbguard.service";

/// Answers of `dbguard check`.
pub mod answer {
    /// Would be allowed.
    pub const ALLOWED: i32 = 0;
    /// The host is held.
    pub const HELD: i32 = 1;
    /// Would be refused.
    pub const REFUSED: i32 = 2;
    /// Not known.
    pub const UNKNOWN: i32 = 3;
}

/// Runs `dbguard WORDS`.
pub fn cli(words: &str) -> Result<Output> {
    shell::run(&format!("dbguard {words}"))
}

/// What `dbguard check --for raw-write` says of a device.
pub fn check(device: &Path) -> Result<i32> {
    let output = Script::new("dbguard check --for raw-write \"$D\"")
        .with("D", device.display().to_string())
        .run()?;
    output
        .code
        .with_context(|| format!("dbguard check died: {}", output.tail()))
}

/// Waits until a device is said to be guarded (armed or held).
pub fn wait_guarded(device: &Path) -> Result<()> {
    if is_off() {
        return Ok(());
    }
    until(Duration::from_secs(15), || {
        Ok(matches!(check(device)?, answer::REFUSED | answer::HELD))
    })
    .with_context(|| {
        format!(
            "{} is not protected: {}",
            device.display(),
            describe(device)
        )
    })
}

/// True in a guest that was booted without the guard: control runs alone make sense there.
pub fn is_off() -> bool {
    std::env::var("DBGUARD_MODE").is_ok_and(|mode| mode == "off")
}

/// A skip in a guest without the guard.
pub fn must_be_on() -> Result<()> {
    if is_off() {
        Err(skip("this guest was booted without the guard"))
    } else {
        Ok(())
    }
}

/// Waits until a device is said to be free.
pub fn wait_free(device: &Path) -> Result<()> {
    if is_off() {
        return Ok(());
    }
    until(Duration::from_secs(15), || {
        Ok(check(device)? == answer::ALLOWED)
    })
    .with_context(|| format!("{} is not free: {}", device.display(), describe(device)))
}

/// What `dbguard check` prints about a device, for messages.
fn describe(device: &Path) -> String {
    Script::new("dbguard check --for raw-write \"$D\"; dbguard devices | tail -40")
        .with("D", device.display().to_string())
        .run()
        .map_or_else(
            |error| format!("{error:#}"),
            |output| output.text.replace('\n', " | "),
        )
}

/// `dbguard status --json`.
pub fn status() -> Result<Value> {
    let output = cli("status --json 2>/dev/null")?;
    serde_json::from_str(&output.text)
        .with_context(|| format!("`dbguard status --json` is not JSON: {}", output.text))
}

/// The host state: `idle`, `armed` or `held`.
pub fn state() -> Result<String> {
    let status = status()?;
    let state = status.get("state").and_then(Value::as_str);
    Ok(state
        .with_context(|| format!("status has no state: {status}"))?
        .to_owned())
}

/// Waits for a host state.
pub fn wait_state(wanted: &str) -> Result<()> {
    until(Duration::from_secs(20), || {
        Ok(state().is_ok_and(|state| state == wanted))
    })
    .with_context(|| {
        let now = state().unwrap_or_else(|error| format!("{error:#}"));
        format!("the host is not {wanted} but {now}")
    })
}

/// Fails unless the guard runs, enforces, and says so. Suites begin with it.
pub fn must_be_armed() -> Result<()> {
    must_be_on()?;
    let output = cli("status")?;
    ensure!(
        output.succeeded(),
        "dbguard status ended with {:?}: {}",
        output.code,
        output.text
    );
    let state = state()?;
    ensure!(
        state == "armed",
        "the host is {state}, not armed: start the database first"
    );
    Ok(())
}

/// The same, but a guest without the guard will do: for work that must also succeed there.
pub fn must_be_armed_or_off() -> Result<()> {
    if is_off() { Ok(()) } else { must_be_armed() }
}

/// Marks a device as carrying critical data.
pub fn mark_device(device: &Path) -> Result<()> {
    Script::new("dbguard mark --device \"$D\"")
        .with("D", device.display().to_string())
        .must()?;
    wait_guarded(device)
}

/// Releases the whole host.
pub fn release() -> Result<Output> {
    cli("release --confirm-host \"$(uname -n)\"")
}

/// The controller's process id; 0 while it does not run.
pub fn controller_pid() -> Result<u32> {
    let text = shell::must(&format!("systemctl show -P MainPID {SERVICE}"))?;
    text.trim()
        .parse()
        .with_context(|| format!("MainPID is `{}`", text.trim()))
}

/// Starts the controller where it does not run and waits until it answers.
pub fn start_controller() -> Result<()> {
    // Where the kernel half is loaded anew, an emulated processor verifies for half a minute.
    Script::new(&format!(
        "systemctl reset-failed {SERVICE}; systemctl start {SERVICE}"
    ))
    .limit(240)
    .must()?;
    until(Duration::from_secs(30), || {
        Ok(status().is_ok_and(|status| answers(&status)))
    })
    .context("the controller does not answer")
}

/// Makes this the site's configuration, which is none where the text is empty, and has the controller
/// accept it, also where it guards less.
pub fn configure(text: &str) -> Result<()> {
    Script::new(
        "F=/etc/dbguard/conf.d/95-test.toml; mkdir -p /etc/dbguard/conf.d
         if [ -n \"$TEXT\" ]; then printf '%s' \"$TEXT\" >$F; else rm -f $F; fi
         dbguard config check && dbguard config apply --confirm-host $(uname -n)",
    )
    .with("TEXT", text)
    .must()
    .map(drop)
}

/// True where the status came from a running controller.
fn answers(status: &Value) -> bool {
    status
        .get("state")
        .and_then(Value::as_str)
        .is_some_and(|state| !state.is_empty())
        && controller_pid().is_ok_and(|pid| pid != 0)
}

/// The kernel half's counters, summed over the CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Operations refused.
    pub denied: u64,
    /// Operations that observe mode let pass.
    pub would_deny: u64,
    /// Allowed operations worth a record.
    pub recorded: u64,
    /// Events that did not fit into the ring.
    pub dropped: u64,
}

impl Counters {
    /// Events made or dropped.
    pub fn events(&self) -> u64 {
        self.denied + self.would_deny + self.recorded
    }
}

/// Reads the counters with bpftool, not through the guard itself.
pub fn counters() -> Result<Counters> {
    let text = shell::must(&format!(
        "bpftool -j map dump pinned {MAPS}/{}/{}",
        guard_abi::ABI_VERSION,
        guard_abi::maps::COUNTERS
    ))?;
    let dump: Value = serde_json::from_str(&text).context("bpftool's answer is not JSON")?;
    let mut sums = [0_u64; 4];
    let Some(entries) = dump.as_array() else {
        bail!("bpftool printed no list: {text}")
    };
    for entry in entries {
        let key = number(entry.get("key"), 4).context("no key")?;
        let values = entry
            .get("values")
            .and_then(Value::as_array)
            .context("no values")?;
        if let Some(sum) = usize::try_from(key).ok().and_then(|key| sums.get_mut(key)) {
            for value in values {
                *sum += number(value.get("value"), 8).context("no value")?;
            }
        }
    }
    let [denied, would_deny, recorded, dropped] = sums;
    Ok(Counters {
        denied,
        would_deny,
        recorded,
        dropped,
    })
}

/// bpftool prints a number as itself where the map has BTF, as a list of hexadecimal bytes where
/// it has none.
fn number(value: Option<&Value>, bytes: usize) -> Option<u64> {
    let value = value?;
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let list = value.as_array()?;
    let mut number = 0_u64;
    for (at, byte) in list.iter().take(bytes).enumerate() {
        let text = byte.as_str()?.trim_start_matches("0x");
        number |= u64::from_str_radix(text, 16).ok()? << (8 * at);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bpftool_are_read_in_both_forms() {
        let bytes: Value = serde_json::from_str(r#"["0x01","0x02","0x00","0x00"]"#).unwrap();
        assert_eq!(number(Some(&bytes), 4), Some(0x0201));
        assert_eq!(number(Some(&Value::from(7)), 8), Some(7));
        assert_eq!(number(None, 8), None);
    }
}
