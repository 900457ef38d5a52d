//! Attaching the empty programs.

use anyhow::{Context, Result, bail};
use aya::programs::Program;
use aya::{Btf, Ebpf};

/// The programs stay attached while this lives.
pub struct Attached {
    _object: Ebpf,
    hooks: Vec<String>,
}

impl Attached {
    /// The hooks with a program on them.
    pub fn hooks(&self) -> &[String] {
        &self.hooks
    }
}

/// Loads the object and attaches each program whose hook this kernel has.
pub fn attach(path: &str) -> Result<Attached> {
    let btf = Btf::from_sys_fs().context("cannot read the kernel's type information")?;
    let mut object = Ebpf::load_file(path).with_context(|| format!("cannot load {path}"))?;
    let mut hooks = Vec::new();
    for (name, program) in object.programs_mut() {
        let attached = match program {
            Program::Lsm(program) => program
                .load(name, &btf)
                .and_then(|()| program.attach().map(drop)),
            Program::BtfTracePoint(program) => program
                .load(name, &btf)
                .and_then(|()| program.attach().map(drop)),
            Program::FEntry(program) => program
                .load(name, &btf)
                .and_then(|()| program.attach().map(drop)),
            _ => bail!("{path}: program {name} is of a kind that the benchmark does not know"),
        };
        match attached {
            Ok(()) => hooks.push(name.to_owned()),
            // Not every kernel has file_ioctl_compat and bdev_add.
            Err(error) => eprintln!("guest-bench: no empty program on {name}: {error}"),
        }
    }
    for needed in ["file_open", "file_ioctl", "sched_process_exec"] {
        if !hooks.iter().any(|hook| hook == needed) {
            bail!("no empty program could be attached to {needed}");
        }
    }
    Ok(Attached {
        _object: object,
        hooks,
    })
}
