//! Mounts, swap areas and arrays: files whose changes the kernel announces, heard in tasks of their own.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::events::wait_for;
use super::survey::announced_files;
use super::watch::Announced;
use super::{WARNING, log};
use crate::topology::Roots;

/// Files in `/proc` that announce changes.
pub(super) struct Announcements {
    pub(super) receiver: mpsc::Receiver<()>,
    sender: mpsc::Sender<()>,
    /// Not there yet: `mdstat` comes with the module, which loads with the first array.
    absent: Vec<PathBuf>,
}

impl Announcements {
    pub(super) fn new(roots: &Roots) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        Self {
            receiver,
            sender,
            absent: announced_files(roots).into(),
        }
    }

    /// Listens to those that are there by now.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        for path in std::mem::take(&mut self.absent) {
            match Announced::open(&path)? {
                Some(file) => {
                    let ready = wait_for(&file, Interest::PRIORITY)?;
                    tokio::task::spawn_local(announce(ready, file, self.sender.clone()));
                }
                None => self.absent.push(path),
            }
        }
        Ok(())
    }
}

/// Tells of every change of a file. Changes that were not heard of yet are one.
async fn announce(ready: AsyncFd<OwnedFd>, mut file: Announced, sender: mpsc::Sender<()>) {
    loop {
        let heard = match ready.ready(Interest::PRIORITY).await {
            Ok(mut ready) => {
                ready.clear_ready();
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = heard.and_then(|()| file.acknowledge()) {
            log(
                WARNING,
                &format!("waiting for mount changes: {error}; restart dbguard"),
            );
            return;
        }
        if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
            return;
        }
    }
}
