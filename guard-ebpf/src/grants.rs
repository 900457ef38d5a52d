//! What a process may after it has executed a program.

use guard_abi::tool_grant;

/// Grants after exec. `own` are those of the program's rule and verb, `script` those of the script
/// where the program is its interpreter, `kept` those that the process had and keeps.
#[inline(always)]
pub const fn after_exec(own: u32, script: u32, kept: u32) -> u32 {
    let kept = kept & tool_grant::KEPT_AT_EXEC;
    let mut grants = own | script;
    if grants & tool_grant::REVOKED == 0 {
        grants |= kept;
    }
    grants &= !tool_grant::REVOKED;
    // Written by hand, a boot sector is what a reinstallation begins with.
    if grants & tool_grant::PACKAGES == 0 {
        grants &= !tool_grant::BOOT_SECTOR;
    }
    grants
}
