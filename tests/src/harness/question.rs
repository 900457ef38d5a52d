//! One question to the guest's MariaDB over its socket, without a client: starting one takes an emulated
//! guest longer than most acts, and the question is asked after each.
//!
//! MariaDB's client/server protocol: packets of a length (3 bytes), a number (1 byte) and the payload; a
//! greeting, the client's answer, perhaps a request for another way of authentication, `COM_QUERY`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const SOCKET: &str = "/run/mysqld/mysqld.sock";
/// CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH.
const CAPABILITIES: u32 = 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
const UTF8: u8 = 33;
const COM_QUERY: u8 = 3;
/// First byte of a packet: it was done, an error, another way of authentication.
const OK: u8 = 0;
const ERROR: u8 = 0xff;
const OTHER_WAY: u8 = 0xfe;

struct Connection(UnixStream);

impl Connection {
    fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 4];
        self.0.read_exact(&mut head)?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload)?;
        match payload.first() {
            Some(&ERROR) => Err(io::Error::other(
                String::from_utf8_lossy(&payload).into_owned(),
            )),
            _ => Ok((head[3], payload)),
        }
    }

    fn write(&mut self, number: u8, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let [low, middle, high, _] = length.to_le_bytes();
        let packet = [&[low, middle, high, number], payload].concat();
        self.0.write_all(&packet)
    }
}

/// Asks `SELECT 1` as the system's root user, and demands the answer.
pub fn ask() -> io::Result<()> {
    let stream = UnixStream::connect(SOCKET)?;
    for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
        set(&stream, Some(Duration::from_secs(10)))?;
    }
    let mut server = Connection(stream);
    let (number, _greeting) = server.read()?;
    let mut login = Vec::new();
    login.extend(CAPABILITIES.to_le_bytes());
    login.extend((1_u32 << 24).to_le_bytes());
    login.push(UTF8);
    login.extend([0; 23]);
    login.extend(b"root\0\0unix_socket\0");
    server.write(number + 1, &login)?;
    let (mut number, mut answer) = server.read()?;
    while answer.first() == Some(&OTHER_WAY) {
        server.write(number + 1, &[])?;
        (number, answer) = server.read()?;
    }
    if answer.first() != Some(&OK) {
        return Err(io::Error::other("not logged in"));
    }
    server.write(0, &[&[COM_QUERY], b"SELECT 1".as_slice()].concat())?;
    // How many columns, the column, the end of the columns, the row.
    for _ in 0..3 {
        server.read()?;
    }
    match server.read()?.1.as_slice() {
        [1, b'1'] => Ok(()),
        other => Err(io::Error::other(format!("an odd answer: {other:?}"))),
    }
}
