//! The BTF reader: on type information made here, on damaged bytes, and on the real thing.

use guard_abi::members::{MEMBERS, Need};
use guard_user::kernel::btf::{Btf, BtfError, Kind};
use guard_user::kernel::{HOOKS, Presence, Route};
use proptest::prelude::*;

/// Builds a blob type by type, as pahole would.
#[derive(Default)]
struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

const INT: u32 = 1;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const CONST: u32 = 10;
const FUNC: u32 = 12;

impl Blob {
    fn new() -> Self {
        Self {
            strings: vec![0],
            ..Self::default()
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        at
    }

    fn word(&mut self, word: u32) {
        self.types.extend(word.to_le_bytes());
    }

    fn header(&mut self, name: &str, kind: u32, info: u32, size_or_type: u32) -> u32 {
        let name = self.name(name);
        self.word(name);
        self.word(kind << 24 | info);
        self.word(size_or_type);
        self.count += 1;
        self.count
    }

    fn int(&mut self) -> u32 {
        let id = self.header("int", INT, 0, 4);
        self.word(32);
        id
    }

    /// Members: name, type, offset in bits.
    fn aggregate(&mut self, kind: u32, name: &str, members: &[(&str, u32, u32)]) -> u32 {
        let id = self.header(name, kind, members.len() as u32, 64);
        for (member, of_type, bits) in members {
            let member = self.name(member);
            self.word(member);
            self.word(*of_type);
            self.word(*bits);
        }
        id
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x9F, 0xEB, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}

/// `struct file { struct { union { int f_inode; int other; }; }; const path_t f_path; int f_mode:4 }`
fn sample() -> Blob {
    let mut blob = Blob::new();
    let int = blob.int();
    let union = blob.aggregate(UNION, "", &[("f_inode", int, 0), ("other", int, 32)]);
    let inner = blob.aggregate(STRUCT, "", &[("first", int, 0), ("", union, 64)]);
    let path = blob.aggregate(STRUCT, "path", &[("mnt", int, 0), ("dentry", int, 64)]);
    let alias = blob.header("path_t", TYPEDEF, 0, path);
    let constant = blob.header("", CONST, 0, alias);
    blob.aggregate(
        STRUCT,
        "file",
        &[("", inner, 128), ("f_path", constant, 512)],
    );
    // kind_flag: the upper 8 bits of an offset are the width of a bit field
    let bits = blob.header("flags", STRUCT, 1 << 31 | 2, 8);
    assert!(bits > 0);
    for (name, offset) in [("narrow", 3 << 24 | 8), ("whole", 32)] {
        let name = blob.name(name);
        blob.word(name);
        blob.word(int);
        blob.word(offset);
    }
    let prototype = blob.header("", 13, 0, 0);
    blob.header("bpf_lsm_file_open", FUNC, 0, prototype);
    blob
}

#[test]
fn members_are_found_as_c_finds_them() {
    let btf = Btf::parse(sample().bytes()).expect("a whole blob");
    let at = |of, path| btf.offset(of, path).expect("a member that is there");
    assert_eq!(at("file", "first"), 16, "of an anonymous struct");
    assert_eq!(at("file", "f_inode"), 24, "of an anonymous union in it");
    assert_eq!(at("file", "other"), 28);
    assert_eq!(at("file", "f_path.dentry"), 72, "through const and typedef");
    assert_eq!(at("flags", "whole"), 4);
    assert!(btf.has(Kind::Function, "bpf_lsm_file_open"));
    assert!(
        !btf.has(Kind::Struct, "bpf_lsm_file_open"),
        "the kind matters"
    );
    assert!(
        !btf.has(Kind::Function, "bpf_lsm_file"),
        "the whole name matters"
    );
}

#[test]
fn errors_name_what_is_missing() {
    let btf = Btf::parse(sample().bytes()).expect("a whole blob");
    assert_eq!(
        btf.offset("inode", "i_mode"),
        Err(BtfError::NoStruct("inode".to_owned()))
    );
    let missing = btf.offset("file", "f_pos").expect_err("no such member");
    assert_eq!(
        missing.to_string(),
        "the kernel's `struct file` has no member `f_pos`"
    );
    let missing = btf
        .offset("file", "f_path.nothing")
        .expect_err("no such member");
    assert!(missing.to_string().contains("f_path.nothing"), "{missing}");
    let bits = btf.offset("flags", "narrow").expect_err("a bit field");
    assert!(matches!(bits, BtfError::BitField { .. }), "{bits}");
}

#[test]
fn a_struct_that_contains_itself_is_an_error_and_not_a_loop() {
    let mut blob = Blob::new();
    blob.aggregate(STRUCT, "snake", &[("", 1, 0)]);
    let btf = Btf::parse(blob.bytes()).expect("well-formed, if absurd");
    assert!(matches!(
        btf.offset("snake", "tail"),
        Err(BtfError::Corrupt { .. })
    ));
    let mut blob = Blob::new();
    blob.header("ring", TYPEDEF, 0, 1);
    blob.aggregate(STRUCT, "held", &[("", 1, 0)]);
    let btf = Btf::parse(blob.bytes()).expect("well-formed, if absurd");
    assert!(btf.offset("held", "member").is_err());
}

#[test]
fn every_truncation_is_an_error() {
    let whole = sample().bytes();
    for length in 0..whole.len() {
        assert!(
            Btf::parse(whole[..length].to_vec()).is_err(),
            "cut to {length} bytes"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 5_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_damage_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = sample().bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(btf) = Btf::parse(bytes) {
            for (of, path) in [("file", "f_inode"), ("file", "f_path.dentry"), ("flags", "narrow")] {
                let _ = btf.offset(of, path);
            }
            let _ = btf.has(Kind::Function, "bpf_lsm_file_open");
        }
    }

    #[test]
    fn no_noise_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        for (at, byte) in [0x9F, 0xEB, 1, 0, 24, 0, 0, 0].into_iter().enumerate() {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Ok(btf) = Btf::parse(bytes) {
            let _ = btf.offset("file", "f_inode");
        }
    }
}

/// Real blobs: `*.btf` in the directory that `DBGUARD_BTF_DIR` names, where the test run has put
/// those of the kernels under test. Every required member and hook must be in each.
#[test]
fn the_kernels_under_test_have_what_is_needed() {
    let Some(directory) = std::env::var_os("DBGUARD_BTF_DIR") else {
        println!("DBGUARD_BTF_DIR is not set: only made-up type information was read");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(&directory).expect("DBGUARD_BTF_DIR is a directory") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "btf") {
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        let btf = Btf::parse(bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for member in MEMBERS
            .iter()
            .filter(|member| member.need == Need::Required)
        {
            let found = btf.offset(member.of, member.path);
            assert!(found.is_ok(), "{}: {found:?}", path.display());
        }
        for hook in HOOKS
            .iter()
            .filter(|hook| hook.presence == Presence::Required)
        {
            let there = Route::ALL.iter().any(|route| hook.is_in(&btf, *route));
            assert!(there, "{}: {}", path.display(), hook.target);
        }
        seen += 1;
    }
    assert!(seen > 0, "no *.btf in {}", directory.display());
}
