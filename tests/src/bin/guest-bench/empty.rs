//! Attaching the empty programs, by libbpf on either route.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use anyhow::{Context, Result, bail, ensure};
use libbpf_sys as sys;

/// The root of the cgroup hierarchy, to which device programs are attached.
const ROOT_CGROUP: &str = "/sys/fs/cgroup";
/// Sections of the programs that belong to one route.
const LSM: &str = "lsm/";
const FMOD_RET: &str = "fmod_ret/";

/// The programs stay attached while this lives.
pub struct Attached {
    object: NonNull<sys::bpf_object>,
    links: Vec<NonNull<sys::bpf_link>>,
    hooks: Vec<String>,
}

impl Attached {
    /// The hooks with a program on them.
    pub fn hooks(&self) -> &[String] {
        &self.hooks
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        for link in &self.links {
            // SAFETY: made in `attach`, destroyed here alone.
            unsafe { sys::bpf_link__destroy(link.as_ptr()) };
        }
        // SAFETY: opened in `attach`, closed here alone.
        unsafe { sys::bpf_object__close(self.object.as_ptr()) };
    }
}

/// Loads the object and attaches each program of this route (`lsm` or `fmod_ret`) whose hook this
/// kernel has.
pub fn attach(path: &str, route: &str) -> Result<Attached> {
    let other = match route {
        "lsm" => FMOD_RET,
        "fmod_ret" => LSM,
        _ => bail!("{route} is no route: lsm or fmod_ret"),
    };
    let file = CString::new(path)?;
    // SAFETY: the string lives longer than the call.
    let object = unsafe { sys::bpf_object__open(file.as_ptr()) };
    let object = NonNull::new(object)
        .ok_or_else(io::Error::last_os_error)
        .with_context(|| format!("cannot read {path}"))?;
    let mut attached = Attached {
        object,
        links: Vec::new(),
        hooks: Vec::new(),
    };
    let mut wanted = Vec::new();
    for program in programs(object) {
        // SAFETY: a program of the open object, whose strings live as long.
        let section = unsafe { CStr::from_ptr(sys::bpf_program__section_name(program)) };
        let section = section.to_str()?.to_owned();
        let here = !section.starts_with(other) && is_in_kernel(&section)?;
        // SAFETY: a program of the open object that is not loaded yet.
        check(unsafe { sys::bpf_program__set_autoload(program, here) })?;
        if here {
            wanted.push((program, section));
        } else if !section.starts_with(other) {
            // Not every kernel has file_ioctl_compat, uring_cmd and bdev_add.
            eprintln!("guest-bench: no empty program on {section}: this kernel does not have it");
        }
    }
    // SAFETY: the object is open and not loaded yet.
    check(unsafe { sys::bpf_object__load(object.as_ptr()) }).context("loading")?;
    for (program, section) in wanted {
        let link = if section.starts_with("cgroup/") {
            let root = File::open(ROOT_CGROUP).context(ROOT_CGROUP)?;
            // SAFETY: a loaded program, and a descriptor that lives longer than the call.
            unsafe { sys::bpf_program__attach_cgroup(program, root.as_raw_fd()) }
        } else {
            // SAFETY: a loaded program.
            unsafe { sys::bpf_program__attach(program) }
        };
        let link = NonNull::new(link)
            .ok_or_else(io::Error::last_os_error)
            .with_context(|| format!("attaching {section}"))?;
        attached.links.push(link);
        attached.hooks.push(section);
    }
    for needed in [
        "file_open",
        "file_ioctl",
        "inode_create",
        "sched_process_exec",
    ] {
        let is_there = attached.hooks.iter().any(|hook| hook.ends_with(needed));
        ensure!(is_there, "no empty program could be attached to {needed}");
    }
    Ok(attached)
}

fn programs(object: NonNull<sys::bpf_object>) -> Vec<*mut sys::bpf_program> {
    let mut all = Vec::new();
    let mut program = ptr::null_mut();
    loop {
        // SAFETY: the object is open; `program` is null or the one that was given before.
        program = unsafe { sys::bpf_object__next_program(object.as_ptr(), program) };
        if program.is_null() {
            return all;
        }
        all.push(program);
    }
}

/// Whether the kernel's types have what a section names; libbpf loads all programs or none.
fn is_in_kernel(section: &str) -> Result<bool> {
    let (kind, target) = section
        .split_once('/')
        .context("a section without a kind")?;
    let kind = match kind {
        "lsm" => sys::BPF_LSM_MAC,
        "fmod_ret" => sys::BPF_MODIFY_RETURN,
        "fentry" => sys::BPF_TRACE_FENTRY,
        "tp_btf" => sys::BPF_TRACE_RAW_TP,
        "cgroup" => return Ok(true),
        _ => bail!("{section}: a kind that the benchmark does not know"),
    };
    let target = CString::new(target)?;
    // SAFETY: the string lives longer than the call.
    Ok(unsafe { sys::libbpf_find_vmlinux_btf_id(target.as_ptr(), kind) } > 0)
}

/// libbpf's results: negative is `-errno`.
fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::from_raw_os_error(-result))
    } else {
        Ok(())
    }
}
