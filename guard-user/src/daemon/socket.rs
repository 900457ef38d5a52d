//! The control socket: clients come in here, and what they ask goes to the loop.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::serve::Client;
use super::{WARNING, lock, log};
use crate::control::{Answer, MAX_REQUEST, Request, SOCKET_PATH};

/// Clients at one time; more wait in the socket's queue.
const CLIENTS: usize = 16;
/// An answer of more bytes than this is about many devices.
const LARGE: usize = 128 * 1024;
/// A client that does not ask or does not read for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client wants to know.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) client: Client,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Listens, and hands every request to the loop.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Asked>> {
    let path = Path::new(SOCKET_PATH);
    std::fs::create_dir_all(lock::RUN)?;
    // The lock is ours, so a socket that is there is a dead controller's.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    let (sender, receiver) = mpsc::channel(CLIENTS);
    tokio::task::spawn_local(accept(listener, sender));
    Ok(receiver)
}

async fn accept(listener: UnixListener, sender: mpsc::Sender<Asked>) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CLIENTS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let sender = sender.clone();
                tokio::task::spawn_local(async move {
                    // A client that breaks off is its own affair.
                    let _ = tokio::time::timeout(2 * PATIENCE, converse(stream, sender)).await;
                    drop(place);
                });
            }
            Err(error) => {
                log(WARNING, &format!("accepting on {SOCKET_PATH}: {error}"));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, sender: mpsc::Sender<Asked>) -> io::Result<()> {
    let credentials = stream.peer_cred()?;
    let client = Client {
        pid: credentials
            .pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or(0),
        uid: credentials.uid(),
    };
    let (reading, mut writing) = stream.into_split();
    let mut line = Vec::new();
    let mut limited = BufReader::new(reading.take(MAX_REQUEST as u64));
    tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await??;
    let answer = match serde_json::from_slice(&line) {
        Ok(request) => {
            let (answer, answered) = oneshot::channel();
            let asked = Asked {
                request,
                client,
                answer,
            };
            if sender.send(asked).await.is_err() {
                return Ok(());
            }
            match answered.await {
                Ok(answer) => answer,
                Err(_) => return Ok(()),
            }
        }
        Err(error) => Answer::Refused {
            exit: 64,
            message: format!("not a request: {error}"),
        },
    };
    let mut bytes = serde_json::to_vec(&answer)?;
    drop(answer);
    bytes.push(b'\n');
    let sent = writing.write_all(&bytes).await;
    if bytes.len() > LARGE {
        drop(bytes);
        super::give_back_memory();
    }
    sent
}
