//! Entry of `security_bprm_check` (fs/exec.c `search_binary_handler`): once for each file of an
//! execution, the script, then its interpreter. When the tracepoint `sched_process_exec` comes, the
//! script is gone; what its rule grants is remembered for it here.

use core::ffi::c_void;

use aya_ebpf::programs::FEntryContext;
use guard_abi::verb_source;

use crate::kernel::{Binprm, current_thread};
use crate::maps::{SCRIPTS, TOOLS};

/// `int security_bprm_check(struct linux_binprm *bprm)`
#[unsafe(no_mangle)]
#[unsafe(link_section = "fentry/security_bprm_check")]
extern "C" fn bprm_check(ctx: *mut c_void) -> i64 {
    let binprm = Binprm(FEntryContext::new(ctx).arg(0));
    let thread = current_thread();
    if binprm.is_first() {
        // An execution that failed after this has left something behind.
        let _ = SCRIPTS.remove(thread);
    }
    // SAFETY: the rule is copied at once.
    let rule = unsafe { TOOLS.get(binprm.file().inode().id()) }.copied();
    if let Some(rule) = rule
        && rule.verb_source == verb_source::SCRIPT
    {
        // Full: no grant.
        let _ = SCRIPTS.insert(thread, rule.grants, 0);
    }
    0
}
