//! bpf(2) on pinned objects, as little of it as the resident controller needs.
//!
//! Loading is aya's; it runs in a short-lived child. What stays resident touches maps alone, by
//! these calls, so that it carries neither a BTF parser nor an ELF reader in its memory.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

// include/uapi/linux/bpf.h `enum bpf_cmd`.
const BPF_MAP_LOOKUP_ELEM: libc::c_int = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_MAP_DELETE_ELEM: libc::c_int = 3;
const BPF_MAP_GET_NEXT_KEY: libc::c_int = 4;
const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const BPF_LINK_CREATE: libc::c_int = 28;

/// `BPF_CGROUP_DEVICE` of `enum bpf_attach_type`.
const BPF_CGROUP_DEVICE: u32 = 6;

/// `BPF_MAP_*_ELEM` part of `union bpf_attr`.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    value_or_next: u64,
    flags: u64,
}

/// `BPF_OBJ_*` part of `union bpf_attr`.
#[repr(C)]
struct ObjectAttr {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// `raw_tracepoint` part of `union bpf_attr`.
#[repr(C)]
struct AttachAttr {
    name: u64,
    prog_fd: u32,
    pad: u32,
}

/// `info` part of `union bpf_attr`.
#[repr(C)]
struct InfoAttr {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// The beginning of `struct bpf_map_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MapInfo {
    pub kind: u32,
    pub id: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
}

/// `link_create` part of `union bpf_attr`.
#[repr(C)]
struct LinkAttr {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
}

/// The beginning of `struct bpf_link_info`, for a link to a cgroup.
#[repr(C)]
#[derive(Default)]
struct CgroupLinkInfo {
    of_any: LinkInfo,
    cgroup_id: u64,
    attach_type: u32,
    pad: u32,
}

/// The beginning of `struct bpf_link_info`.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    prog_id: u32,
    pad: u32,
}

/// `*_GET_FD_BY_ID` part of `union bpf_attr`.
#[repr(C)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// `struct bpf_prog_info` up to `recursion_misses`, in words.
type ProgInfo = [u64; 27];
/// Place of `recursion_misses` in [`ProgInfo`]. The kernel's uapi never moves a member.
const RECURSION_MISSES: usize = 26;

/// One bpf(2) call. `attr` must be the part of `union bpf_attr` that `cmd` reads.
fn call<T>(cmd: libc::c_int, attr: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads and writes `size_of::<T>()` bytes behind `attr`, which is an
    // exclusive borrow of exactly that many; bytes of the union beyond them count as zero.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, cmd, std::ptr::from_mut(attr), size_of::<T>()) };
    match libc::c_int::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Opens a pinned map or link.
pub(super) fn open_pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = ObjectAttr {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: 0,
    };
    let fd = call(BPF_OBJ_GET, &mut attr)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Pins a program or link.
pub(super) fn pin(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = ObjectAttr {
        pathname: path.as_ptr() as u64,
        bpf_fd: raw(fd),
        file_flags: 0,
    };
    call(BPF_OBJ_PIN, &mut attr).map(|_| ())
}

/// Attaches a program that was loaded for a kernel function or LSM hook; the link detaches it with
/// its last descriptor and pin. (`BPF_LINK_CREATE` does the same, from Linux 5.19 on;
/// kernel/bpf/syscall.c `bpf_raw_tracepoint_open`.)
pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = AttachAttr {
        name: 0,
        prog_fd: raw(program),
        pad: 0,
    };
    let fd = call(BPF_RAW_TRACEPOINT_OPEN, &mut attr)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Shape of a map.
pub(super) fn map_info(fd: BorrowedFd<'_>) -> io::Result<MapInfo> {
    let mut info = MapInfo::default();
    let mut attr = InfoAttr {
        bpf_fd: raw(fd),
        info_len: size_of::<MapInfo>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    call(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info)
}

/// How often the kernel did not run the program behind a pinned link, because another task had
/// been preempted inside it on that CPU (kernel/bpf/trampoline.c `__bpf_prog_enter_recur`).
/// `None` where the kernel does not count that (before Linux 5.12).
pub(super) fn recursion_misses(link: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let mut of_link = LinkInfo::default();
    let mut attr = InfoAttr {
        bpf_fd: raw(link),
        info_len: size_of::<LinkInfo>() as u32,
        info: std::ptr::from_mut(&mut of_link) as u64,
    };
    call(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    let mut by_id = IdAttr {
        id: of_link.prog_id,
        next_id: 0,
        open_flags: 0,
    };
    let program = call(BPF_PROG_GET_FD_BY_ID, &mut by_id)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let program = unsafe { OwnedFd::from_raw_fd(program) };
    // All zero: no buffers for instructions, maps or line numbers.
    let mut of_program: ProgInfo = [0; 27];
    let mut attr = InfoAttr {
        bpf_fd: raw(program.as_fd()),
        info_len: size_of::<ProgInfo>() as u32,
        info: std::ptr::from_mut(&mut of_program) as u64,
    };
    call(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    // The kernel says how much of it it knows.
    let known = attr.info_len as usize >= size_of::<ProgInfo>();
    Ok(known.then(|| of_program[RECURSION_MISSES]))
}

/// Number of a link.
pub(super) fn link_id(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = LinkInfo::default();
    let mut attr = InfoAttr {
        bpf_fd: raw(fd),
        info_len: size_of::<LinkInfo>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    call(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info.id)
}

/// Attaches a device program to a cgroup, beside others that are there or come: a link to a cgroup
/// always allows that (kernel/bpf/cgroup.c `cgroup_bpf_link_attach`, which takes no flags).
pub(super) fn link_to_cgroup(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let mut attr = LinkAttr {
        prog_fd: raw(program),
        target_fd: raw(cgroup),
        attach_type: BPF_CGROUP_DEVICE,
        flags: 0,
    };
    let fd = call(BPF_LINK_CREATE, &mut attr)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a link to a cgroup still has its cgroup: unlike other links it can be detached by anyone
/// who has its id (kernel/bpf/cgroup.c `bpf_cgroup_link_fill_link_info`).
pub(super) fn cgroup_link_is_attached(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut info = CgroupLinkInfo::default();
    let mut attr = InfoAttr {
        bpf_fd: raw(fd),
        info_len: size_of::<CgroupLinkInfo>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    call(BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info.cgroup_id != 0)
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Integers alone, without padding, so that every byte is initialised and every bit pattern is a
/// value. `aya::Pod` of the ABI crate promises the same; this trait keeps aya out of here.
///
/// # Safety
/// The implementor is `Copy`, has no padding and no invalid bit patterns.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: for all of these: `repr(C)`, integers alone, no padding (guard-abi layout.rs).
unsafe impl Plain for guard_abi::DeviceKey {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::DeviceEntry {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::Unclaimed {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::Policy {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::TaskEntry {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::glass::GlassEntry {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::glass::GlassUse {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::EngineName {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::ExeId {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::ToolRule {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::VerbKey {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::VerbRule {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::ArgumentName {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::PlaceEntry {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::FileName {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::FileRule {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::marks::Marks {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::BpfObject {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::DenialEvent {}
// SAFETY: as above.
unsafe impl Plain for guard_abi::LifecycleEvent {}

/// Value of `key`, `None` where there is none. `V` must have the map's value size.
pub(super) fn lookup<K: Plain, V: Plain>(fd: BorrowedFd<'_>, key: &K) -> io::Result<Option<V>> {
    let mut value = MaybeUninit::<V>::uninit();
    let mut attr = element(fd, key, value.as_mut_ptr() as u64, 0);
    match call(BPF_MAP_LOOKUP_ELEM, &mut attr) {
        // SAFETY: the kernel has filled the whole value, and every bit pattern is one.
        Ok(_) => Ok(Some(unsafe { value.assume_init() })),
        Err(error) => absent(error).map(|()| None),
    }
}

/// Value of `key`, which must be there, written over `value`.
pub(super) fn lookup_into<K: Plain, V: Plain>(
    fd: BorrowedFd<'_>,
    key: &K,
    value: &mut V,
) -> io::Result<()> {
    let mut attr = element(fd, key, std::ptr::from_mut(value) as u64, 0);
    call(BPF_MAP_LOOKUP_ELEM, &mut attr).map(|_| ())
}

/// Values of `key` on every possible CPU.
pub(super) fn lookup_per_cpu(fd: BorrowedFd<'_>, key: u32, cpus: usize) -> io::Result<Vec<u64>> {
    let mut values = vec![0_u64; cpus];
    let mut attr = element(fd, &key, values.as_mut_ptr() as u64, 0);
    call(BPF_MAP_LOOKUP_ELEM, &mut attr)?;
    Ok(values)
}

/// Sets `key`.
pub(super) fn update<K: Plain, V: Plain>(fd: BorrowedFd<'_>, key: &K, value: &V) -> io::Result<()> {
    let mut attr = element(fd, key, std::ptr::from_ref(value) as u64, 0);
    call(BPF_MAP_UPDATE_ELEM, &mut attr).map(|_| ())
}

/// Removes `key`; true where it was there.
pub(super) fn delete<K: Plain>(fd: BorrowedFd<'_>, key: &K) -> io::Result<bool> {
    let mut attr = element(fd, key, 0, 0);
    match call(BPF_MAP_DELETE_ELEM, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) => absent(error).map(|()| false),
    }
}

/// The key after `key`, or the first.
pub(super) fn next_key<K: Plain>(fd: BorrowedFd<'_>, key: Option<&K>) -> io::Result<Option<K>> {
    let mut next = MaybeUninit::<K>::uninit();
    let mut attr = ElementAttr {
        map_fd: raw(fd),
        pad: 0,
        key: key.map_or(0, |key| std::ptr::from_ref(key) as u64),
        value_or_next: next.as_mut_ptr() as u64,
        flags: 0,
    };
    match call(BPF_MAP_GET_NEXT_KEY, &mut attr) {
        // SAFETY: the kernel has filled the whole key, and every bit pattern is one.
        Ok(_) => Ok(Some(unsafe { next.assume_init() })),
        Err(error) => absent(error).map(|()| None),
    }
}

fn element<K: Plain>(fd: BorrowedFd<'_>, key: &K, value: u64, flags: u64) -> ElementAttr {
    ElementAttr {
        map_fd: raw(fd.as_fd()),
        pad: 0,
        key: std::ptr::from_ref(key) as u64,
        value_or_next: value,
        flags,
    }
}

/// `ENOENT` says that there is no such key.
fn absent(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ENOENT) {
        Ok(())
    } else {
        Err(error)
    }
}

/// Number of possible CPUs: per-CPU maps have a value for each.
pub(super) fn possible_cpus() -> io::Result<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    parse_possible(text.trim()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("cpu/possible holds `{}`", text.trim()),
        )
    })
}

/// `0-3` or `0,2-5` → highest number plus one (the kernel's `num_possible_cpus` on hosts without
/// holes; with holes the larger number only makes room for more).
fn parse_possible(text: &str) -> Option<usize> {
    let last = text.rsplit(',').next()?;
    let highest = last.rsplit('-').next()?;
    highest.parse::<usize>().ok().map(|number| number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_cpu_lists() {
        assert_eq!(parse_possible("0"), Some(1));
        assert_eq!(parse_possible("0-3"), Some(4));
        assert_eq!(parse_possible("0,2-5"), Some(6));
        assert_eq!(parse_possible(""), None);
    }
}
