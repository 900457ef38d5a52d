//! Names of persons, as `allowed_signers`, certificates, the configuration and logins have them.

/// Whether two names are one person's: nobody is two persons by writing a name in another case.
pub(super) const fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether a principal is the person with this login name: the same, or the same before the `@`.
pub(super) fn has_login(principal: &str, login: &str) -> bool {
    let local = principal.split('@').next().unwrap_or(principal);
    is_same(principal, login) || is_same(local, login)
}
