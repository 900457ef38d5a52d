//! Links OpenSSH, where `cargo xtask fuzz` has compiled it.

fn main() {
    println!("cargo:rerun-if-env-changed=OPENSSH_REFERENCE");
    if std::env::var_os("CARGO_FEATURE_REFERENCE").is_none() {
        return;
    }
    let Ok(tree) = std::env::var("OPENSSH_REFERENCE") else {
        println!("cargo:error=OPENSSH_REFERENCE is not set: use cargo xtask fuzz");
        return;
    };
    println!("cargo:rustc-link-search=native={tree}");
    println!("cargo:rustc-link-search=native={tree}/openbsd-compat");
    // What signs is beside libssh.a, and needs it.
    for library in [
        "static:+whole-archive=sshsig",
        "static=ssh",
        "static=openbsd-compat",
    ] {
        println!("cargo:rustc-link-lib={library}");
    }
    for library in ["crypto", "z"] {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
}
