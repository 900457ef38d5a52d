//! The second layer: what has the kernel open a protected device is refused, what a live host has
//! it open is not, and it goes on where trampolines do not run.

mod observe;
mod reach;
mod trampolines;
mod work;

use crate::harness::case::Case;

/// The cases.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::prepare("prepare", reach::prepare).limit(260)];
    cases.extend(reach::cases());
    // A cgroup program: no route carries it.
    cases.extend(work::cases().into_iter().map(Case::on_each_kernel));
    cases.push(Case::test("self-test", reach::self_test));
    cases.push(
        Case::test("told-once-in-observe", observe::told_once)
            .limit(240)
            .once(),
    );
    // Last: the host is idle for a while.
    cases.push(Case::test("without-trampolines", trampolines::off).limit(400));
    cases.push(Case::clean_up("remove", reach::remove));
    cases
}
