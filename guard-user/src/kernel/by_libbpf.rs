//! Loading by libbpf: the route of `fmod_ret`, which aya does not have (aya/src/programs/mod.rs).
//!
//! The object and the maps are the same. A program of section `lsm/<hook>` becomes a tracing
//! program that may answer in place of `security_<hook>`: its arguments are that function's, and
//! after them the answer of the programs before it. It is never sleepable, whatever its section.

use std::ffi::{CStr, CString, c_char, c_int};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, Ordering};

use guard_abi::maps as names;
use libbpf_sys as sys;
use rustix::fs::{MemfdFlags, memfd_create};

use super::hooks::{Attach, HOOKS, HookSpec};
use super::load::{Loaded, Plan, internal, shortened};
use super::on_demand::ON_DEMAND;
use super::problem::{Problem, ProblemKind};
use super::{cgroup, object, pin};

/// Programs in libbpf's hands.
pub(super) struct Programs {
    object: NonNull<sys::bpf_object>,
    messages: Messages,
    /// Why programs that can be left out are, where they are.
    left_out: Option<String>,
}

/// Loads the object: maps (the pinned ones where they are there), then every program that this
/// kernel has a hook for.
///
/// libbpf loads all programs or none. Where that fails, those without which the guard is only
/// slower are left out, and it is tried once more.
pub(super) fn load(plan: &Plan<'_>) -> Result<Programs, Problem> {
    let failed = match Programs::load(plan, true) {
        Ok(programs) => return Ok(programs),
        Err(failed) => failed,
    };
    let optional = |hook: &HookSpec| hook.presence.can_be_left_out() && plan.has(hook);
    if !HOOKS.iter().any(optional) {
        return Err(failed);
    }
    let mut programs = Programs::load(plan, false)?;
    programs.left_out = Some(failed.why);
    Ok(programs)
}

impl Programs {
    fn load(plan: &Plan<'_>, conveniences: bool) -> Result<Self, Problem> {
        let messages = Messages::collect()
            .map_err(|error| internal("making room for the messages of libbpf", error))?;
        let bytes = object::with_offsets(object::OBJECT, plan.constants)
            .map_err(|error| internal("writing offsets into the kernel half", error))?;
        let bytes = object::with_own_functions(&bytes)
            .ok_or_else(|| internal("reading the kernel half", "it is no ELF file"))?;
        let mut options = sys::bpf_object_open_opts {
            sz: size_of::<sys::bpf_object_open_opts>() as sys::size_t,
            object_name: c"dbguard".as_ptr(),
            ..Default::default()
        };
        // SAFETY: bytes and options live longer than the call, which copies what it keeps and
        // writes to neither.
        let opened = unsafe {
            sys::bpf_object__open_mem(
                bytes.as_ptr().cast(),
                bytes.len() as sys::size_t,
                &raw mut options,
            )
        };
        let Some(object) = NonNull::new(opened) else {
            let error = io::Error::last_os_error();
            return Err(failed("reading the kernel half", &error, &messages));
        };
        let programs = Self {
            object,
            messages,
            left_out: None,
        };
        let prepared = programs
            .set_constants(plan)
            .and_then(|()| programs.set_pins())
            .and_then(|()| programs.choose(plan, conveniences));
        prepared
            .map_err(|error| failed("preparing the kernel half", &error, &programs.messages))?;
        // SAFETY: the object is open and not loaded yet.
        check(unsafe { sys::bpf_object__load(programs.object.as_ptr()) })
            .map_err(|error| failed("loading the kernel half", &error, &programs.messages))?;
        Ok(programs)
    }

    /// Writes the constants into the read-only data, which libbpf freezes at load.
    fn set_constants(&self, plan: &Plan<'_>) -> io::Result<()> {
        let symbols = plan.constants.iter().map(|(symbol, _)| *symbol);
        let places = object::places(object::OBJECT, symbols)
            .map_err(|symbol| io::Error::other(format!("the object has no constant {symbol}")))?;
        let map = self.constants_map()?;
        let mut bytes: sys::size_t = 0;
        // SAFETY: the map belongs to the open object; the kernel does not have it yet.
        let start = unsafe { sys::bpf_map__initial_value(map, &raw mut bytes) };
        let Some(start) = NonNull::new(start.cast::<u8>()) else {
            return Err(io::Error::last_os_error());
        };
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        // SAFETY: libbpf keeps `bytes` bytes there, initialised from the object, until the object
        // is closed; nothing else looks at them before it is loaded.
        let data = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), bytes) };
        for (place, (symbol, value)) in places.into_iter().zip(plan.constants) {
            let target = place
                .checked_add(4)
                .and_then(|end| data.get_mut(place..end))
                .ok_or_else(|| io::Error::other(format!("{symbol} is not in the constants")))?;
            target.copy_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn constants_map(&self) -> io::Result<*mut sys::bpf_map> {
        let mut map = ptr::null_mut();
        loop {
            // SAFETY: the object is open; `map` is null or the map that was given before.
            map = unsafe { sys::bpf_object__next_map(self.object.as_ptr(), map) };
            if map.is_null() {
                return Err(io::Error::other("the object has no constants"));
            }
            // SAFETY: libbpf gives a string that lives as long as the map.
            let name = unsafe { CStr::from_ptr(sys::bpf_map__name(map)) };
            if name.to_bytes().ends_with(object::CONSTANTS.as_bytes()) {
                return Ok(map);
            }
        }
    }

    fn set_pins(&self) -> io::Result<()> {
        let named = names::PINNED.iter().map(|name| (name, name));
        let sections = names::SECTIONS
            .iter()
            .map(|(section, name)| (section, name));
        for (name, pinned_as) in named.chain(sections) {
            let c_name = CString::new(*name)?;
            let path = path_text(&pin::map(pinned_as))?;
            // SAFETY: the object is open; both strings live longer than the calls, which copy
            // what they keep.
            let set = unsafe {
                let map = sys::bpf_object__find_map_by_name(self.object.as_ptr(), c_name.as_ptr());
                if map.is_null() {
                    return Err(io::Error::other(format!("the object has no map {name}")));
                }
                if name != pinned_as {
                    // Nobody is to write to it past the hook `bpf`, by mapping it into memory; and
                    // aya would not make it so.
                    check(sys::bpf_map__set_map_flags(map, 0))?;
                }
                sys::bpf_map__set_pin_path(map, path.as_ptr())
            };
            check(set)?;
        }
        Ok(())
    }

    /// Says of each program whether it is to be loaded, and as what.
    fn choose(&self, plan: &Plan<'_>, conveniences: bool) -> io::Result<()> {
        for hook in HOOKS.iter().chain(ON_DEMAND) {
            let program = self.program(hook)?.as_ptr();
            let wanted = plan.has(hook) && (conveniences || !hook.presence.can_be_left_out());
            // SAFETY: a program of the open object that is not loaded yet.
            check(unsafe { sys::bpf_program__set_autoload(program, wanted) })?;
            if !wanted || hook.attach != Attach::Security {
                continue;
            }
            let function = CString::new(hook.function())?;
            // SAFETY: as above; the string lives longer than the call, which copies it. The type
            // comes first: it takes the section's own rules away.
            unsafe {
                check(sys::bpf_program__set_type(
                    program,
                    sys::BPF_PROG_TYPE_TRACING,
                ))?;
                check(sys::bpf_program__set_expected_attach_type(
                    program,
                    sys::BPF_MODIFY_RETURN,
                ))?;
                check(sys::bpf_program__set_attach_target(
                    program,
                    0,
                    function.as_ptr(),
                ))?;
            }
        }
        Ok(())
    }

    fn program(&self, hook: &HookSpec) -> io::Result<NonNull<sys::bpf_program>> {
        let name = CString::new(hook.program)?;
        // SAFETY: the object is open; the string lives longer than the call.
        let program =
            unsafe { sys::bpf_object__find_program_by_name(self.object.as_ptr(), name.as_ptr()) };
        NonNull::new(program)
            .ok_or_else(|| io::Error::other(format!("the object has no program {}", hook.program)))
    }

    fn attach_and_pin(&self, hook: &HookSpec, pin: &Path) -> io::Result<()> {
        let path = path_text(pin)?;
        let program = self.program(hook)?.as_ptr();
        if hook.attach == Attach::CgroupDevice {
            // SAFETY: a loaded program of the open object, whose descriptor stays open as long.
            let descriptor = unsafe {
                let descriptor = sys::bpf_program__fd(program);
                check(descriptor)?;
                BorrowedFd::borrow_raw(descriptor)
            };
            return cgroup::attach(descriptor, pin);
        }
        // SAFETY: a loaded program of the open object.
        let link = unsafe {
            match hook.attach {
                // Above.
                Attach::CgroupDevice => ptr::null_mut(),
                Attach::Security => sys::bpf_program__attach_trace(program),
                Attach::Tracepoint | Attach::Function => sys::bpf_program__attach(program),
            }
        };
        if link.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the link was just made and is used by nobody else; destroying it closes the
        // descriptor and leaves the pin, and with it the program's attachment.
        unsafe {
            let pinned = check(sys::bpf_link__pin(link, path.as_ptr()));
            sys::bpf_link__destroy(link);
            pinned
        }
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        // SAFETY: opened in `load` and closed here alone. Pinned maps and links stay.
        unsafe { sys::bpf_object__close(self.object.as_ptr()) };
    }
}

impl Loaded for Programs {
    fn program_fd(&self, hook: &HookSpec) -> Result<OwnedFd, String> {
        let program = self.program(hook).map_err(|error| error.to_string())?;
        // SAFETY: a loaded program of the open object, which keeps its descriptor; it is duplicated.
        let fd = unsafe { sys::bpf_program__fd(program.as_ptr()) };
        check(fd).map_err(|error| error.to_string())?;
        // SAFETY: the object keeps the descriptor open while it is duplicated.
        unsafe { BorrowedFd::borrow_raw(fd) }
            .try_clone_to_owned()
            .map_err(|error| error.to_string())
    }

    fn attach(&mut self, hook: &HookSpec, pin: &Path) -> Result<(), String> {
        if let Some(why) = &self.left_out
            && hook.presence.can_be_left_out()
        {
            return Err(format!(
                "with it and others like it the programs do not load: {why}"
            ));
        }
        self.attach_and_pin(hook, pin)
            .map_err(|error| format!("{error}; {}", self.messages.text()))
    }
}

fn path_text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// libbpf's results: negative is `-errno`.
fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::from_raw_os_error(-result))
    } else {
        Ok(())
    }
}

fn failed(what: &str, error: &io::Error, messages: &Messages) -> Problem {
    Problem::fatal(
        ProblemKind::Unavailable,
        what,
        shortened(&format!("{error}: {}", messages.text())),
        "nothing was changed; report this kernel with the output of `uname -a`",
    )
}

/// Where libbpf's messages go; the verifier's log is among them.
static SINK: AtomicI32 = AtomicI32::new(-1);

/// Collects what libbpf says from now on.
struct Messages(File);

impl Messages {
    fn collect() -> io::Result<Self> {
        let sink: OwnedFd = memfd_create("libbpf", MemfdFlags::CLOEXEC)?;
        SINK.store(sink.as_raw_fd(), Ordering::Relaxed);
        // SAFETY: the function lives as long as the program and may be called at any time.
        unsafe { sys::libbpf_set_print(Some(print)) };
        Ok(Self(File::from(sink)))
    }

    /// What was said so far.
    fn text(&self) -> String {
        let mut bytes = Vec::new();
        let mut file = &self.0;
        let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
            Err(error) => format!("its messages cannot be read: {error}"),
        }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        // Another collection may have begun since.
        let ours = self.0.as_raw_fd();
        let _ = SINK.compare_exchange(ours, -1, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Keeps warnings; what libbpf tells for its own debugging is thrown away.
unsafe extern "C" fn print(
    level: sys::libbpf_print_level,
    format: *const c_char,
    arguments: *mut sys::__va_list_tag,
) -> c_int {
    let sink = SINK.load(Ordering::Relaxed);
    if level != sys::LIBBPF_WARN || sink < 0 {
        return 0;
    }
    // SAFETY: libbpf hands on a format and the arguments that fit it.
    unsafe { sys::vdprintf(sink, format, arguments) }
}
