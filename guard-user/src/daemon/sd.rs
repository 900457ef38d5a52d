//! What systemd is told, by the protocol of sd_notify(3): one datagram to `$NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Tells systemd, if it has asked to be told.
#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// From this process's environment.
    pub fn from_environment() -> io::Result<Self> {
        let socket = match std::env::var_os("NOTIFY_SOCKET") {
            Some(name) => Some((UnixDatagram::unbound()?, address(&name)?)),
            None => None,
        };
        let number = |name| {
            std::env::var(name)
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
        };
        let meant_for_us =
            number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC")
            .filter(|usec| meant_for_us && *usec > 0 && socket.is_some())
            // sd_watchdog_enabled(3): half the time is what it recommends.
            .map(|usec| Duration::from_micros(usec) / 2);
        Ok(Self { socket, watchdog })
    }

    /// How often the watchdog wants to hear from us; `None` where there is none.
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends one message. A lost one is not worth dying for: systemd's own timeouts handle it.
    pub fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "NOTIFY_SOCKET names no unix socket",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(at: &OsStr, bound: &UnixDatagram) -> String {
        let notify = Notify {
            socket: Some((
                UnixDatagram::unbound().expect("a socket"),
                address(at).expect("an address"),
            )),
            watchdog: None,
        };
        notify.send("READY=1");
        let mut buffer = [0; 64];
        let bytes = bound.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..bytes]).into_owned()
    }

    #[test]
    fn both_kinds_of_address() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let bound = UnixDatagram::bind(&path).expect("bound");
        assert_eq!(heard(path.as_os_str(), &bound), "READY=1");
        let name = format!("dbguard-test-{}", std::process::id());
        let there = SocketAddr::from_abstract_name(&name).expect("an address");
        let bound = UnixDatagram::bind_addr(&there).expect("bound");
        assert_eq!(heard(OsStr::new(&format!("@{name}")), &bound), "READY=1");
        assert!(address(OsStr::new("relative")).is_err());
    }
}
