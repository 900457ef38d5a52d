//! libFuzzer's program for [`Target::Request`].
#![no_main]

use guard_user::grant::testing::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| guard_fuzz::run(Target::Request, bytes));
