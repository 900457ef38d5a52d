//! The BPF object that was built into this binary.

use std::fmt::Write;

use guard_abi::members;
use object::elf::Sym64;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionKind};
use sha2::{Digest, Sha256};

/// The object; empty where the binary was built without one. Aligned, because ELF is read in
/// place.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/dbguard.bpf.o"));

/// Whether this binary has its kernel half.
pub fn is_built_in() -> bool {
    !OBJECT.is_empty()
}

/// Names the object in the pins: the first 16 hexadecimal digits of its SHA-256.
pub fn digest() -> String {
    let mut text = String::with_capacity(16);
    for byte in &Sha256::digest(OBJECT)[..8] {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Name of the section of constants that the loader writes into before the kernel sees them.
pub(super) const CONSTANTS: &str = ".rodata";

/// Value of a `u32` in an object's read-only data.
pub(super) fn constant(object: &[u8], symbol: &str) -> Option<u32> {
    let file = ElfFile64::<Endianness>::parse(object).ok()?;
    let start = place(&file, symbol)?;
    let data = file.section_by_name(CONSTANTS)?.data().ok()?;
    let bytes = data.get(start..start.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// Places of symbols in [`CONSTANTS`], in the order asked for; the name of the first that is not
/// there is the error.
pub(super) fn places<'a>(
    object: &[u8],
    symbols: impl Iterator<Item = &'a str>,
) -> Result<Vec<usize>, &'a str> {
    let file = ElfFile64::<Endianness>::parse(object).ok();
    let place = |symbol| {
        file.as_ref()
            .and_then(|file| place(file, symbol))
            .ok_or(symbol)
    };
    symbols.map(place).collect()
}

/// A copy of the object whose direct loads have their offsets ([`members::marker`]). A load of a member
/// that this kernel does not have stays as it is: programs do not come to it, and the verifier takes
/// none that does.
pub(super) fn with_offsets(
    object: &[u8],
    offsets: &[(&'static str, u32)],
) -> Result<Vec<u8>, String> {
    let file = ElfFile64::<Endianness>::parse(object).map_err(|error| error.to_string())?;
    let mut copy = object.to_vec();
    for section in file
        .sections()
        .filter(|section| section.kind() == SectionKind::Text)
    {
        let Some((start, bytes)) = section.file_range() else {
            continue;
        };
        let range = usize::try_from(start).ok().zip(usize::try_from(bytes).ok());
        let code = range.and_then(|(start, bytes)| copy.get_mut(start..start.checked_add(bytes)?));
        let Some(code) = code else {
            return Err("a section is not in the file".to_owned());
        };
        for instruction in code.as_chunks_mut::<INSTRUCTION>().0 {
            set_offset(instruction, offsets)?;
        }
    }
    Ok(copy)
}

/// Bytes of an instruction (include/uapi/linux/bpf.h `struct bpf_insn`): the code, two registers, 16
/// bits of offset, 32 of a number.
const INSTRUCTION: usize = 8;

fn set_offset(
    instruction: &mut [u8; INSTRUCTION],
    offsets: &[(&'static str, u32)],
) -> Result<(), String> {
    /// `BPF_LDX | BPF_MEM` of any size, and the bits that tell it.
    const LOAD: u8 = 0x61;
    const CLASS_AND_MODE: u8 = 0xE7;
    let [code, _, low, high, ..] = *instruction;
    let marked = members::marked(i16::from_le_bytes([low, high]));
    let Some(member) = marked.filter(|_| code & CLASS_AND_MODE == LOAD) else {
        return Ok(());
    };
    let told = offsets.iter().find(|(symbol, _)| *symbol == member.symbol);
    let (_, offset) = told.ok_or_else(|| format!("{} has no offset", member.symbol))?;
    if *offset == members::ABSENT {
        return Ok(());
    }
    let offset = i16::try_from(*offset)
        .map_err(|_| format!("{}.{} lies too far in", member.of, member.path))?;
    instruction[2..4].copy_from_slice(&offset.to_le_bytes());
    Ok(())
}

/// A copy of the object for libbpf, in which the functions that programs call are the object's own:
/// `STV_HIDDEN`. Where such a function is global, the kernel verifies it by itself, whoever calls it,
/// and takes none that has or returns a pointer, as `memset` does (kernel/bpf/btf.c
/// `btf_prepare_func_args`). aya does the same by itself.
pub(super) fn with_own_functions(object: &[u8]) -> Option<Vec<u8>> {
    /// `STV_HIDDEN`, and where `st_other` is in `Elf64_Sym` (elf(5)).
    const HIDDEN: u8 = 2;
    const OTHER: usize = 5;
    let file = ElfFile64::<Endianness>::parse(object).ok()?;
    let table = file.section_by_name(".symtab")?;
    let (start, _) = table.file_range()?;
    let shared = file.section_by_name(".text").map(|text| text.index());
    let mut copy = object.to_vec();
    for symbol in file.symbols() {
        if shared.is_none() || symbol.section_index() != shared || !symbol.is_global() {
            continue;
        }
        let at = symbol
            .index()
            .0
            .checked_mul(size_of::<Sym64<Endianness>>())?;
        let other = usize::try_from(start)
            .ok()?
            .checked_add(at)?
            .checked_add(OTHER)?;
        *copy.get_mut(other)? = HIDDEN;
    }
    Some(copy)
}

fn place(file: &ElfFile64<'_, Endianness>, symbol: &str) -> Option<usize> {
    let constants = file.section_by_name(CONSTANTS)?.index();
    let symbol = file
        .symbols()
        .find(|candidate| candidate.name() == Ok(symbol))?;
    (symbol.section_index() == Some(constants))
        .then(|| usize::try_from(symbol.address()).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_a_pin_name() {
        let digest = digest();
        assert_eq!(digest.len(), 16);
        assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn functions_become_the_objects_own() {
        if !is_built_in() {
            return;
        }
        let copy = with_own_functions(OBJECT).expect("an ELF file");
        let file = ElfFile64::<Endianness>::parse(copy.as_slice()).expect("still one");
        let text = file.section_by_name(".text").expect("functions").index();
        let of_text = |symbol: &object::read::elf::ElfSymbol64<'_, '_>| {
            symbol.section_index() == Some(text) && symbol.is_global()
        };
        let mut functions = file.symbols().filter(of_text);
        assert!(functions.all(|symbol| symbol.elf_symbol().st_other.0 == 2));
        assert_eq!(
            constant(&copy, "ABI_VERSION"),
            constant(OBJECT, "ABI_VERSION")
        );
    }

    #[test]
    fn every_direct_load_gets_its_offset() {
        if !is_built_in() {
            return;
        }
        let offsets: Vec<_> = members::MEMBERS
            .iter()
            .map(|member| (member.symbol, 16))
            .collect();
        let copy = with_offsets(OBJECT, &offsets).expect("an ELF file");
        let loads = |object: &[u8], offset: std::ops::Range<i32>| {
            let file = ElfFile64::<Endianness>::parse(object).expect("an ELF file");
            let mut found = 0;
            for section in file
                .sections()
                .filter(|one| one.kind() == SectionKind::Text)
            {
                let data = section.data().expect("code").to_vec();
                for instruction in data.as_chunks::<INSTRUCTION>().0 {
                    let [code, _, low, high, number @ ..] = *instruction;
                    let at = i32::from(i16::from_le_bytes([low, high]));
                    // Nor has the compiler made an addition of one (`BPF_ALU64 | BPF_ADD`).
                    let added = i32::from_le_bytes(number);
                    assert!(code != 0x07 || !offset.contains(&added), "{instruction:x?}");
                    found += usize::from(code & 7 == 1 && offset.contains(&at));
                }
            }
            found
        };
        assert!(loads(OBJECT, 0x7000..0x8000) > 50);
        assert_eq!(loads(&copy, 0x7000..0x8000), 0);
        assert_eq!(copy.len(), OBJECT.len());
    }

    #[test]
    fn every_constant_is_in_the_one_section() {
        if !is_built_in() {
            return;
        }
        let symbols = members::MEMBERS.iter().map(|member| member.symbol);
        assert!(places(OBJECT, symbols).is_ok());
        let file = ElfFile64::<Endianness>::parse(OBJECT).expect("an ELF file");
        let sizes = guard_abi::maps::SECTIONS.iter().map(|(section, _)| {
            let section = file.section_by_name(section).expect("a section");
            section.size()
        });
        let expected = [size_of::<guard_abi::marks::Marks>() as u64, 8];
        assert_eq!(sizes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_offset_must_fit_and_must_be_known() {
        let marker = members::marker("FILE_F_MODE") as u16;
        let [low, high] = marker.to_le_bytes();
        let load = [0x61, 0x21, low, high, 0, 0, 0, 0];
        let set = |mut instruction, offsets: &[_]| {
            set_offset(&mut instruction, offsets)
                .map(|()| i16::from_le_bytes([instruction[2], instruction[3]]))
        };
        assert_eq!(set(load, &[("FILE_F_MODE", 12)]), Ok(12));
        assert_eq!(
            set(load, &[("FILE_F_MODE", members::ABSENT)]),
            Ok(marker.cast_signed())
        );
        assert!(set(load, &[("FILE_F_MODE", 0x8000)]).is_err());
        assert!(set(load, &[]).is_err());
        // A store is none of its business.
        let store = [0x63, 0x21, low, high, 0, 0, 0, 0];
        assert_eq!(set(store, &[]), Ok(marker.cast_signed()));
    }

    #[test]
    fn a_corrupt_object_has_no_constants() {
        assert_eq!(with_own_functions(b""), None);
        assert_eq!(constant(b"", "ABI_VERSION"), None);
        assert_eq!(
            constant(&[0x7F, b'E', b'L', b'F', 2, 1, 1, 0], "ABI_VERSION"),
            None
        );
    }
}
