//! Tracepoint `sched_process_exec`: fs/exec.c `exec_binprm`, after the new program is in place and
//! before its first instruction.

use core::ffi::c_void;

use aya_ebpf::programs::BtfTracePointContext;
use guard_abi::{
    ArgumentName, ArgumentRole, ArmWord, Counter, EngineName, ExeId, LifecycleKind, TaskEntry,
    VerbKey, VerbRule, tool_grant, verb_source,
};

use guard_ebpf::grants;

use crate::argv::{self, Found};
use crate::emit;
use crate::granted;
use crate::kernel::{Binprm, File, Task, copy_name};
use crate::maps::{
    ARGUMENTS, ENGINE_EXES, ENGINE_NAMES, SCRATCH, SCRIPTS, Scratch, TASKS, TOOLS, VERBS, unlisted,
};

/// Arguments after `argv[0]` that are searched for a sign that this is no server.
const PROBE_ARGUMENTS: u32 = 4;
/// Arguments of a tool that are looked at; with more, a verb that asks for listed ones is not
/// granted.
const TOOL_ARGUMENTS: u32 = 24;
/// Words of [`VerbKey::verb`].
const VERB_WORDS: usize = 7;
/// Bytes of `argv[0]` that are searched for the base name.
const PATH_BYTES: usize = 64;

const VERSION: [u32; 3] = argv::words(b"--version");
const VERSION_LETTER: [u32; 1] = argv::words(b"-V");
const HELP: [u32; 2] = argv::words(b"--help");
const HELP_LETTER: [u32; 1] = argv::words(b"-?");
const PRINT_DEFAULTS: [u32; 5] = argv::words(b"--print-defaults");

/// `void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "tp_btf/sched_process_exec")]
extern "C" fn exec(ctx: *mut c_void) -> i64 {
    let ctx = BtfTracePointContext::new(ctx);
    let task = Task(ctx.arg(0));
    let file = Binprm(ctx.arg(2)).file();
    let id = file.inode().id();
    let engine = critical_engine(task, file, &id);
    if engine != 0 {
        // First of all: the rest may fail.
        emit::raise(ArmWord::ArmGen);
    }
    let mut grants = grants::after_exec(
        tool_grants(task, file, &id) & givable(task),
        script_grants(ctx.arg(1)) & givable(task),
        kept_grants(task),
    );
    if task.is_traced() {
        // Whoever traces it would have the grant.
        grants &= !tool_grant::GUARD;
    }
    diag!((), "exec: engine {}, grants {:x}", engine, grants);
    track(task, engine, grants, granted::after_exec(task.tgid()));
    0
}

/// Replaces what was known about the process.
#[inline(always)]
fn track(task: Task, engine: u32, grants: u32, glass: u32) {
    let pid = task.tgid();
    if engine == 0 && grants == 0 && glass == 0 {
        // A database's child that executes something else is a database no longer.
        let _ = TASKS.remove(pid);
        return;
    }
    let entry = TaskEntry {
        engine,
        grants,
        start_boot_ns: task.start_boot_ns(),
        glass,
        reserved: 0,
    };
    let tracked = TASKS.insert(pid, entry, 0).is_ok();
    if !tracked {
        emit::count(Counter::TasksFull);
    }
    if engine != 0 {
        let kind = if tracked {
            LifecycleKind::Started
        } else {
            LifecycleKind::NotTracked
        };
        emit::lifecycle(kind, engine, pid);
    }
}

/// The engine of a database server; 0 for anything else.
#[inline(always)]
fn critical_engine(task: Task, file: File, id: &ExeId) -> u32 {
    let mut engine = named_engine(file.name());
    if engine == 0 {
        engine = named_engine(task.comm_name());
    }
    if engine == 0 {
        // SAFETY: the entry is copied at once.
        engine = unsafe { ENGINE_EXES.get(id) }.copied().unwrap_or(0);
    }
    if engine == 0 || is_probe(task) != 0 {
        0
    } else {
        engine
    }
}

#[inline(always)]
fn named_engine(name: *const c_void) -> u32 {
    let mut key = EngineName { name: [0; 16] };
    if !copy_name(name, &mut key.name) {
        return 0;
    }
    // SAFETY: the entry is copied at once.
    unsafe { ENGINE_NAMES.get(key) }.copied().unwrap_or(0)
}

/// 1 where the first arguments say that the program will only tell about itself. What cannot be
/// read says no such thing.
#[inline(never)]
fn is_probe(task: Task) -> u32 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this CPU's own, and nothing else uses it meanwhile, see `Scratch`.
    let Scratch {
        argument, position, ..
    } = unsafe { &mut *scratch };
    position.begin(task.command_line());
    for index in 0..=PROBE_ARGUMENTS {
        match position.read(argument) {
            Found::End | Found::Unreadable => return 0,
            Found::Whole if index > 0 && only_tells(argument) => return 1,
            Found::Whole | Found::Part => {}
        }
    }
    0
}

#[inline(always)]
fn only_tells(argument: &ArgumentName) -> bool {
    argv::begins(argument, &VERSION)
        | argv::begins(argument, &VERSION_LETTER)
        | argv::begins(argument, &HELP)
        | argv::begins(argument, &HELP_LETTER)
        | argv::begins(argument, &PRINT_DEFAULTS)
}

/// Going down is the business of process 1 alone.
#[inline(always)]
fn givable(task: Task) -> u32 {
    if task.tgid() == 1 {
        u32::MAX
    } else {
        !tool_grant::SHUTDOWN
    }
}

/// Grants that the process has had before.
#[inline(always)]
fn kept_grants(task: Task) -> u32 {
    // SAFETY: the entry is read at once.
    unsafe { TASKS.get(task.tgid()) }.map_or(0, |entry| entry.grants)
}

/// Grants of the script whose interpreter is executed. `thread` is the number that the thread had
/// when it was asked about the script: it takes the process's where it was not the first.
#[inline(always)]
fn script_grants(thread: u32) -> u32 {
    // SAFETY: the entry is copied at once.
    let Some(grants) = unsafe { SCRIPTS.get(thread) }.copied() else {
        return 0;
    };
    let _ = SCRIPTS.remove(thread);
    grants
}

/// Grants of a tool, by the identity of its file and, where the rule says so, by its verb.
#[inline(always)]
fn tool_grants(task: Task, file: File, id: &ExeId) -> u32 {
    // SAFETY: the rule is copied at once.
    let Some(rule) = unsafe { TOOLS.get(id) }.copied() else {
        return 0;
    };
    match rule.verb_source {
        verb_source::NONE => return rule.grants,
        // Of a script, the interpreter is executed, and the rule counts where the script was seen.
        verb_source::SCRIPT => return 0,
        _ => {}
    }
    rule.grants | verb_grants(task, file, rule.tool, rule.verb_source)
}

/// Grants that a tool's command line gives.
#[inline(never)]
fn verb_grants(task: Task, file: File, tool: u32, source: u32) -> u32 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this CPU's own, and nothing else uses it meanwhile, see `Scratch`.
    let scratch = unsafe { &mut *scratch };
    scratch.argument.set = 0;
    scratch.verb.tool = tool;
    scratch.line.grants.set(0);
    scratch.line.needs_listed.set(0);
    scratch.line.unlisted.set(0);
    scratch.line.verb_seen.set(0);
    scratch.position.begin(task.command_line());
    if scratch.position.read(&mut scratch.argument) != Found::Whole {
        return 0;
    }
    if source == verb_source::MULTICALL {
        if !multicall_verb(scratch, file) {
            return 0;
        }
        take_verb(scratch);
    }
    walk(scratch, source);
    let line = &scratch.line;
    if line.needs_listed.get() & line.unlisted.get() == 0 {
        line.grants.get()
    } else {
        0
    }
}

/// Takes what `VERBS` says about the verb; false where it says nothing.
#[inline(always)]
fn take_verb(scratch: &mut Scratch) -> bool {
    let Scratch {
        argument,
        verb,
        line,
        ..
    } = scratch;
    line.verb_seen.set(1);
    // SAFETY: the rule is copied at once.
    let Some(rule) = unsafe { VERBS.get(*verb) }.copied() else {
        return false;
    };
    let VerbRule {
        grants,
        arguments,
        set,
    } = rule;
    line.grants.set(line.grants.get() | grants);
    if arguments == ArgumentRole::Any as u32 {
        // Another verb of the same line keeps its list.
        return true;
    }
    line.needs_listed.set(
        line.needs_listed.get()
            | if arguments == ArgumentRole::OptionsListed as u32 {
                unlisted::OPTION
            } else {
                unlisted::ARGUMENT
            },
    );
    argument.set = set;
    true
}

/// Looks at the arguments that are left.
#[inline(always)]
fn walk(scratch: &mut Scratch, source: u32) {
    for _ in 0..TOOL_ARGUMENTS {
        match scratch.position.read(&mut scratch.argument) {
            Found::End => return,
            Found::Unreadable => break,
            Found::Part => note_unlisted(scratch),
            Found::Whole => {
                if !is_verb(scratch, source) && !is_listed(&mut scratch.argument) {
                    note_unlisted(scratch);
                }
            }
        }
    }
    // More arguments than are looked at, or one that cannot be read.
    scratch
        .line
        .unlisted
        .set(unlisted::ARGUMENT | unlisted::OPTION);
}

/// Notes that an argument, or the part of it that was read, is not listed.
#[inline(always)]
fn note_unlisted(scratch: &mut Scratch) {
    // 1 for a dash, 0 for any other byte.
    let is_option = u32::from(scratch.argument.text[0] ^ b'-').wrapping_sub(1) >> 31;
    let seen = unlisted::ARGUMENT | (is_option * unlisted::OPTION);
    scratch
        .line
        .unlisted
        .set(scratch.line.unlisted.get() | seen);
}

/// Whether the argument is the verb, where that is among the arguments.
#[inline(always)]
fn is_verb(scratch: &mut Scratch, source: u32) -> bool {
    match source {
        verb_source::FIRST_WORD => {
            let first = scratch.line.verb_seen.get() == 0 && scratch.argument.text[0] != b'-';
            if first {
                copy_verb(scratch);
                take_verb(scratch);
            }
            first
        }
        verb_source::ANY_ARGUMENT => {
            copy_verb(scratch);
            take_verb(scratch)
        }
        _ => false,
    }
}

/// Whether the argument is listed as it stands or, with a value, up to its equals sign. Leaves of it
/// what was looked for last.
#[inline(always)]
fn is_listed(argument: &mut ArgumentName) -> bool {
    is_among(argument) || (argv::cut_value(argument) && is_among(argument))
}

#[inline(always)]
fn is_among(argument: &ArgumentName) -> bool {
    // SAFETY: only whether it is there.
    unsafe { ARGUMENTS.get(argument) }.is_some()
}

/// The argument as a verb. One that is too long is cut, and then equals no listed verb: a listed
/// one ends in a zero.
#[inline(always)]
fn copy_verb(scratch: &mut Scratch) {
    let words = argv::words_of(&scratch.argument.text).cast::<[u32; VERB_WORDS]>();
    let verb = argv::words_mut(&mut scratch.verb.verb).cast::<[u32; VERB_WORDS]>();
    // SAFETY: both texts begin at a multiple of 4 in structs aligned to 4, and have the words.
    unsafe { verb.write(words.read()) };
}

/// The verb of a program with many names: base name of `argv[0]`, which stands in the scratch
/// buffer, or `argv[1]` where that is the program's own name.
#[inline(always)]
fn multicall_verb(scratch: &mut Scratch, file: File) -> bool {
    if scratch.argument.text[PATH_BYTES] != 0 {
        return false;
    }
    let base = last_component(&scratch.argument);
    // SAFETY: `base` is at most `PATH_BYTES`, so the name lies in the buffer and is ended by its
    // zero padding.
    let name = unsafe { scratch.argument.text.as_ptr().add(base) };
    scratch.verb.verb = [0; 4 * VERB_WORDS];
    scratch.exe_name.verb = [0; 4 * VERB_WORDS];
    if !copy_name(name.cast(), &mut scratch.verb.verb)
        || !copy_name(file.name(), &mut scratch.exe_name.verb)
    {
        return false;
    }
    if !same_verb(&scratch.verb, &scratch.exe_name) {
        return true;
    }
    if scratch.position.read(&mut scratch.argument) != Found::Whole {
        return false;
    }
    copy_verb(scratch);
    true
}

/// Where the last component of a path begins; arithmetic, so that the verifier has one path.
#[inline(always)]
fn last_component(path: &ArgumentName) -> usize {
    let mut base = 0_u64;
    for at in 0..PATH_BYTES {
        // 1 for a slash, 0 for any other byte.
        let is_slash = argv::opaque(u64::from(path.text[at] ^ b'/').wrapping_sub(1) >> 63);
        let begin = at as u64 + 1;
        base += is_slash * (begin - base);
    }
    // At most `PATH_BYTES`, a power of two; the mask tells the verifier.
    (argv::opaque(base) as usize) & (2 * PATH_BYTES - 1)
}

#[inline(always)]
fn same_verb(one: &VerbKey, other: &VerbKey) -> bool {
    let (one, other) = (argv::words_of(&one.verb), argv::words_of(&other.verb));
    // SAFETY: the texts begin at a multiple of 4 in structs aligned to 4, and have the words.
    unsafe { argv::same::<VERB_WORDS>(&*one.cast(), &*other.cast()) }
}
