//! Destructive acts, each with the real tool or the real system call.
//!
//! An act is performed twice. On a free device of an armed host it must succeed and change bytes:
//! that proves that the act is one (a test that cannot fail proves nothing) and that work on free
//! devices goes on. On a protected device it must change nothing, and its refusal must be in the
//! audit log.

pub mod block;
pub mod container;
pub mod content;
pub mod nvme;
pub mod scsi;
pub mod stacked;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::harness::case::Breadth;
use crate::harness::disk::{self, Disk, Passthrough};
use crate::harness::shell::Script;

/// The device that is acted on.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node that the act is aimed at.
    pub disk: Disk,
    /// The whole disk below it, where there is one.
    pub whole: Disk,
    /// Nodes that pass commands to the whole disk.
    pub pass: Passthrough,
}

impl Target {
    /// A device without a drive of its own below it: a logical volume, an array, a null block
    /// device.
    pub fn plain(disk: Disk) -> Self {
        Self {
            whole: disk.clone(),
            disk,
            pass: Passthrough::default(),
        }
    }

    /// A whole disk.
    pub fn disk(disk: Disk) -> Self {
        Self {
            pass: disk.passthrough(),
            whole: disk.clone(),
            disk,
        }
    }

    /// A partition of `whole`.
    pub fn partition(whole: &Disk, number: u32) -> Result<Self> {
        Ok(Self {
            disk: whole.partition(number)?,
            pass: whole.passthrough(),
            whole: whole.clone(),
        })
    }

    /// `major:minor` of every node whose refusal counts as this device's.
    pub fn devices(&self) -> Result<Vec<String>> {
        let mut nodes = vec![self.disk.node.clone(), self.whole.node.clone()];
        nodes.extend(self.pass.nodes());
        nodes.extend((1..16).map(|number| self.whole.partition_path(number)));
        nodes.retain(|node| node.exists());
        nodes.iter().map(|node| disk::numbers(node)).collect()
    }

    /// Variables that act scripts use.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| path.display().to_string())
                .unwrap_or_default()
        };
        vec![
            ("DEV", self.disk.path()),
            ("NAME", self.disk.name.clone()),
            ("WHOLE", self.whole.path()),
            (
                "PART",
                self.whole
                    .partition_path(0)
                    .display()
                    .to_string()
                    .trim_end_matches('0')
                    .into(),
            ),
            ("CTRL", text(&self.pass.controller)),
            ("NG", text(&self.pass.generic)),
            ("SG", text(&self.pass.sg)),
            ("BSG", text(&self.pass.bsg)),
            ("DIR", SCRATCH.to_owned()),
        ]
    }
}

/// A directory on the root file system for what acts need: 64 KiB and 4 MiB of data to write.
pub const SCRATCH: &str = "/root/guest-suite";

/// Makes [`SCRATCH`] and what is in it.
pub fn prepare_scratch() -> Result<()> {
    Script::new(
        "mkdir -p $DIR && cd $DIR && head -c 4M /dev/zero | tr '\\0' '\\325' >junk && \
         head -c 64K junk >junk64k",
    )
    .with("DIR", SCRATCH)
    .must()
    .map(drop)
}

/// A way to perform an act: a shell script (with [`Target::variables`]) or a function.
#[derive(Clone, Copy)]
pub enum How {
    /// Run by the shell.
    Shell(&'static str),
    /// Given the target's node.
    Node(fn(&std::path::Path) -> Result<()>),
    /// Given the target.
    Target(fn(&Target) -> Result<()>),
}

/// What the act does to a device that nobody protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Bytes of the device change.
    Bytes,
    /// The act succeeds; its effect is not in the device's bytes.
    Succeeds,
    /// The emulated drive does not know the command; only the refusal can be tested. Says why.
    None(&'static str),
}

/// What the guard must do about it on a protected device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The act fails, and a record says so.
    Denied,
    /// A record says so, but the tool ends with status 0 all the same.
    DeniedQuietly,
    /// The kernel or the tool refuses by itself, or the act is harmless: bytes stay, no record
    /// needed.
    Harmless,
}

/// One destructive act.
#[derive(Clone, Copy)]
pub struct Act {
    /// Its name in the report.
    pub name: &'static str,
    /// How it is done.
    pub how: How,
    /// Operation classes, one of which the record must name; empty for any.
    pub ops: &'static [&'static str],
    /// On a free device.
    pub effect: Effect,
    /// On a protected device.
    pub refusal: Refusal,
    /// The refusal may be on another device than the target: on the one laid over it.
    pub elsewhere: bool,
    /// Tried on every configuration, even where its list is not: the only one of its row.
    pub everywhere: bool,
    /// How long it may take, in seconds.
    pub limit: u64,
}

impl Act {
    /// An act by a script that changes bytes and must be refused.
    pub const fn shell(name: &'static str, script: &'static str) -> Self {
        Self::new(name, How::Shell(script))
    }

    /// An act by a function of the node.
    pub const fn node(name: &'static str, act: fn(&std::path::Path) -> Result<()>) -> Self {
        Self::new(name, How::Node(act))
    }

    /// An act by a function of the target.
    pub const fn target(name: &'static str, act: fn(&Target) -> Result<()>) -> Self {
        Self::new(name, How::Target(act))
    }

    const fn new(name: &'static str, how: How) -> Self {
        Self {
            name,
            how,
            ops: &["raw-write"],
            effect: Effect::Bytes,
            refusal: Refusal::Denied,
            elsewhere: false,
            everywhere: false,
            limit: 30,
        }
    }

    /// The same with the operation classes that its record may name.
    #[must_use]
    pub const fn ops(mut self, ops: &'static [&'static str]) -> Self {
        self.ops = ops;
        self
    }

    /// The same with another effect.
    #[must_use]
    pub const fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// The same with another kind of refusal.
    #[must_use]
    pub const fn refusal(mut self, refusal: Refusal) -> Self {
        self.refusal = refusal;
        self
    }

    /// The same, refused on whatever device it lays over the target.
    #[must_use]
    pub const fn elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    /// The same, tried on every configuration.
    #[must_use]
    pub const fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// On how many configurations it is tried as one of a list.
    pub fn breadth(&self, list: Breadth) -> Breadth {
        if self.everywhere {
            Breadth::Every
        } else {
            list
        }
    }

    /// The same with more time, in seconds.
    #[must_use]
    pub const fn limit(mut self, seconds: u64) -> Self {
        self.limit = seconds;
        self
    }

    /// Performs it. An error is a refusal, by whomever; a [`Skip`](crate::harness::case::Skip) says
    /// that the kernel has no such way.
    pub fn perform(&self, target: &Target) -> Result<()> {
        match self.how {
            How::Node(act) => act(&target.disk.node),
            How::Target(act) => act(target),
            How::Shell(text) => {
                if text.contains("$NG") {
                    nvme::generic(target)?;
                }
                let mut script = Script::new(text).limit(self.limit);
                for (name, value) in target.variables() {
                    script = script.with(name, value);
                }
                let output = script.run()?;
                if output.text.contains("command not found") {
                    bail!("MISSING TOOL: {}", output.tail());
                }
                if !output.succeeded() {
                    bail!("ended with {:?}: {}", output.code, output.tail());
                }
                Ok(())
            }
        }
        .with_context(|| self.name.to_owned())
    }
}
