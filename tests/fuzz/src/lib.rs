//! OpenSSH's own verifier in this process, ten thousand times faster than a program a question: what
//! `ssh-keygen -Y verify` does (ssh-keygen.c `sig_verify`), by the same functions.
#![cfg(feature = "reference")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::ptr;

use guard_user::grant::NAMESPACE;
use guard_user::grant::testing::{Case, NOW, Reference, Target};
use rustix::fs::{MemfdFlags, memfd_create};

/// `struct sshbuf`
#[repr(C)]
struct Buffer(c_void);
/// `struct sshkey`
#[repr(C)]
struct Key(c_void);
/// `struct sshkey_sig_details`
#[repr(C)]
struct Details(c_void);

unsafe extern "C" {
    fn log_init(program: *const c_char, level: c_int, facility: c_int, on_stderr: c_int);
    fn sshbuf_new() -> *mut Buffer;
    fn sshbuf_put(buffer: *mut Buffer, bytes: *const c_void, count: usize) -> c_int;
    fn sshbuf_free(buffer: *mut Buffer);
    fn sshsig_dearmor(armoured: *mut Buffer, out: *mut *mut Buffer) -> c_int;
    fn sshsig_verifyb(
        signature: *mut Buffer,
        message: *const Buffer,
        namespace: *const c_char,
        key: *mut *mut Key,
        details: *mut *mut Details,
    ) -> c_int;
    fn sshkey_check_revoked(key: *mut Key, path: *const c_char) -> c_int;
    fn sshsig_check_allowed_keys(
        path: *const c_char,
        key: *const Key,
        principal: *const c_char,
        namespace: *const c_char,
        time: u64,
    ) -> c_int;
    fn sshkey_free(key: *mut Key);
    fn sshkey_sig_details_free(details: *mut Details);
}

/// What libssh.a has of hardware keys is in a helper's client, which verifying does not need.
/// libssh.a's own functions for signing name it.
#[unsafe(no_mangle)]
extern "C" fn sshsk_sign() -> c_int {
    -1
}

/// An owned `struct sshbuf`.
struct Owned(*mut Buffer);

impl Owned {
    fn of(bytes: &[u8]) -> Self {
        // SAFETY: no arguments; the result is owned by `Owned` and may be null, which put takes.
        let buffer = unsafe { sshbuf_new() };
        assert!(!buffer.is_null(), "OpenSSH has no memory");
        // SAFETY: the buffer is OpenSSH's own, and it copies `bytes.len()` readable bytes.
        let put = unsafe { sshbuf_put(buffer, bytes.as_ptr().cast(), bytes.len()) };
        assert_eq!(put, 0, "OpenSSH cannot hold {} bytes", bytes.len());
        Self(buffer)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: owned, and not used any more; null is taken.
        unsafe { sshbuf_free(self.0) }
    }
}

/// A file in memory, for functions that want a path.
struct Page {
    file: File,
    path: CString,
}

impl Page {
    fn new(name: &str) -> Self {
        let file = File::from(memfd_create(name, MemfdFlags::CLOEXEC).expect("a file in memory"));
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Self {
            file,
            path: CString::new(path).expect("no NUL in it"),
        }
    }

    fn holding(&mut self, bytes: &[u8]) -> *const c_char {
        self.file.set_len(0).expect("an empty file");
        self.file.seek(SeekFrom::Start(0)).expect("its beginning");
        self.file.write_all(bytes).expect("room in memory");
        self.path.as_ptr()
    }
}

/// A signature that was verified, and its key; most targets ask about the same ones again and again.
struct Verified {
    armoured: Vec<u8>,
    text: Vec<u8>,
    /// Null if it is no signature over the text.
    key: *mut Key,
}

impl Drop for Verified {
    fn drop(&mut self) {
        // SAFETY: owned since OpenSSH made it, and not used any more; null is taken.
        unsafe { sshkey_free(self.key) }
    }
}

/// How many are kept.
const KEPT: usize = 4;

/// OpenSSH.
struct OpenSsh {
    verified: RefCell<VecDeque<Verified>>,
    signers: RefCell<Page>,
    revoked: RefCell<Page>,
    namespace: CString,
}

impl OpenSsh {
    fn new() -> Self {
        const QUIET: c_int = 0;
        const USER: c_int = 1;
        // SAFETY: a literal with a NUL, and levels of log.h.
        unsafe { log_init(c"fuzz".as_ptr(), QUIET, USER, 1) }
        Self {
            signers: RefCell::new(Page::new("signers")),
            revoked: RefCell::new(Page::new("revoked")),
            namespace: CString::new(NAMESPACE).expect("no NUL in it"),
            verified: RefCell::default(),
        }
    }

    /// The key of a signature over the text, or null.
    fn key(&self, case: &Case) -> *mut Key {
        let mut kept = self.verified.borrow_mut();
        let is_it = |one: &&Verified| one.armoured == case.armoured && one.text == case.text;
        if let Some(known) = kept.iter().find(is_it) {
            return known.key;
        }
        let key = self.verify(case);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Verified {
            armoured: case.armoured.clone(),
            text: case.text.clone(),
            key,
        });
        key
    }

    /// The same, asked of OpenSSH; owned by the caller.
    fn verify(&self, case: &Case) -> *mut Key {
        let armoured = Owned::of(&case.armoured);
        let mut signature = Owned(ptr::null_mut());
        // SAFETY: the buffer is OpenSSH's, and the result is owned here whatever it says.
        if unsafe { sshsig_dearmor(armoured.0, &raw mut signature.0) } != 0 {
            return ptr::null_mut();
        }
        let text = Owned::of(&case.text);
        let mut key: *mut Key = ptr::null_mut();
        let mut details: *mut Details = ptr::null_mut();
        // SAFETY: buffers of OpenSSH's; it writes pointers that are owned here, or leaves null.
        let verified = unsafe {
            sshsig_verifyb(
                signature.0,
                text.0,
                self.namespace.as_ptr(),
                &raw mut key,
                &raw mut details,
            )
        };
        // SAFETY: owned here since the call above, and not used any more; null is taken.
        unsafe { sshkey_sig_details_free(details) }
        if verified != 0 {
            // SAFETY: as above.
            unsafe { sshkey_free(key) }
            return ptr::null_mut();
        }
        key
    }

    /// Whether the key counts for the principal of the case.
    fn counts(&self, key: *mut Key, case: &Case) -> bool {
        if let Some(revoked) = &case.revoked {
            let mut page = self.revoked.borrow_mut();
            // SAFETY: a key that OpenSSH has made, and a path that lives as long as its page.
            if unsafe { sshkey_check_revoked(key, page.holding(revoked)) } != 0 {
                return false;
            }
        }
        let Ok(principal) = CString::new(case.principal.as_str()) else {
            return false;
        };
        let mut page = self.signers.borrow_mut();
        // SAFETY: as above; the texts end in NUL and outlive the call.
        unsafe {
            sshsig_check_allowed_keys(
                page.holding(&case.signers),
                key,
                principal.as_ptr(),
                self.namespace.as_ptr(),
                NOW,
            ) == 0
        }
    }
}

impl Reference for OpenSsh {
    fn accepts(&self, case: &Case) -> bool {
        let key = self.key(case);
        !key.is_null() && self.counts(key, case)
    }
}

/// Puts the bytes to a target.
///
/// # Panics
/// If something is wrong: libFuzzer keeps the bytes.
pub fn run(target: Target, bytes: &[u8]) {
    thread_local! {
        static OPENSSH: OpenSsh = OpenSsh::new();
    }
    OPENSSH.with(|openssh| {
        if let Err(how) = target.run(bytes, openssh) {
            panic!("{}: {how}", target.name());
        }
    });
}
