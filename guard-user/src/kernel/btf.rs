//! A small reader of the kernel's type information (BTF).
//!
//! It answers two questions: at what byte offset is this member of that struct, and does the
//! kernel have a type of this name and kind. It never panics, whatever the bytes: every read is
//! checked, nesting is bounded, and an error says what was being looked for.
//!
//! Format: Documentation/bpf/btf.rst, include/uapi/linux/btf.h.

use std::fmt;

/// Where the running kernel shows its own.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xEB9F;
const HEADER_BYTES: usize = 24;
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
/// Anonymous structs and unions inside each other; the kernel's own limit on resolving is 32.
const MAX_NESTING: u32 = 32;

/// `BTF_KIND_*` that are looked for by name or walked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// `BTF_KIND_STRUCT`.
    Struct = 4,
    /// `BTF_KIND_UNION`.
    Union = 5,
    /// `BTF_KIND_TYPEDEF`.
    Typedef = 8,
    /// `BTF_KIND_FUNC`.
    Function = 12,
}

/// What is wrong with the bytes, or missing from them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// Not BTF, or cut short.
    #[error("not readable as BTF at byte {at}: {what}")]
    Corrupt {
        /// Where.
        at: usize,
        /// What was expected there.
        what: &'static str,
    },
    /// No struct of this name.
    #[error("the kernel has no `struct {0}` in its BTF")]
    NoStruct(String),
    /// No such member.
    #[error("the kernel's `struct {of}` has no member `{member}`")]
    NoMember {
        /// The struct.
        of: String,
        /// The member, as far as the path could not be followed.
        member: String,
    },
    /// The member is not a whole number of bytes from the start.
    #[error("member `{member}` of the kernel's `struct {of}` is a bit field")]
    BitField {
        /// The struct.
        of: String,
        /// The member.
        member: String,
    },
}

/// Type information, indexed.
pub struct Btf {
    bytes: Vec<u8>,
    strings: (usize, usize),
    /// Byte offset of each type; index 0 is `void` and unused.
    types: Vec<u32>,
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btf")
            .field("types", &self.types.len())
            .finish_non_exhaustive()
    }
}

/// `struct btf_type`, its common part.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    members: usize,
    bit_fields: bool,
    refers_to: u32,
    /// Byte offset of what follows.
    rest: usize,
}

impl Btf {
    /// Indexes a blob.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let at = |offset| u32_at(&bytes, offset);
        let magic = at(0)? & 0xFFFF;
        if magic != u32::from(MAGIC) {
            return Err(BtfError::Corrupt {
                at: 0,
                what: "the magic number",
            });
        }
        let header = at(4)? as usize;
        if header < HEADER_BYTES {
            return Err(BtfError::Corrupt {
                at: 4,
                what: "a header of at least 24 bytes",
            });
        }
        let types = section(&bytes, header, at(8)?, at(12)?, "the type section")?;
        let strings = section(&bytes, header, at(16)?, at(20)?, "the string section")?;
        let mut btf = Self {
            bytes,
            strings,
            types: vec![0],
        };
        let mut offset = types.0;
        while offset < types.1 {
            let found = btf.read_type(offset)?;
            let extra = extra_bytes(&found).ok_or(BtfError::Corrupt {
                at: offset,
                what: "a known kind of type",
            })?;
            btf.types.push(offset as u32);
            offset = found.rest + extra;
        }
        if offset == types.1 {
            Ok(btf)
        } else {
            Err(BtfError::Corrupt {
                at: types.1,
                what: "the end of the last type",
            })
        }
    }

    /// Reads and indexes the running kernel's.
    pub fn running_kernel() -> std::io::Result<Result<Self, BtfError>> {
        Ok(Self::parse(std::fs::read(VMLINUX)?))
    }

    /// Whether there is a type of this kind and name.
    pub fn has(&self, kind: Kind, name: &str) -> bool {
        self.find(kind, name).is_some()
    }

    /// Byte offset of a member; a dotted path goes into named structs, and members of anonymous
    /// structs and unions are found as C finds them.
    pub fn offset(&self, of: &str, path: &str) -> Result<u32, BtfError> {
        let mut current = self
            .find(Kind::Struct, of)
            .ok_or_else(|| BtfError::NoStruct(of.to_owned()))?;
        let mut bits = 0;
        for member in path.split('.') {
            let found = self
                .member(current, member, 0)?
                .ok_or_else(|| BtfError::NoMember {
                    of: of.to_owned(),
                    member: path.to_owned(),
                })?;
            bits += found.bits;
            current = found.of_type;
        }
        if bits % 8 == 0 {
            u32::try_from(bits / 8).map_err(|_| BtfError::Corrupt {
                at: 0,
                what: "a member offset below 4 GiB",
            })
        } else {
            Err(BtfError::BitField {
                of: of.to_owned(),
                member: path.to_owned(),
            })
        }
    }

    fn find(&self, kind: Kind, name: &str) -> Option<Type> {
        self.types.iter().skip(1).find_map(|offset| {
            let found = self.read_type(*offset as usize).ok()?;
            (found.kind == kind as u32 && self.is_named(found.name, name)).then_some(found)
        })
    }

    /// Looks for a member, depth first through anonymous structs and unions.
    fn member(&self, of: Type, name: &str, depth: u32) -> Result<Option<Member>, BtfError> {
        if depth > MAX_NESTING {
            return Err(BtfError::Corrupt {
                at: of.rest,
                what: "types nested less deeply",
            });
        }
        let Some(of) = self.aggregate(of)? else {
            return Ok(None);
        };
        for index in 0..of.members {
            let at = of.rest + index * MEMBER_BYTES;
            let member_name = u32_at(&self.bytes, at)?;
            let of_type = self.type_by_id(u32_at(&self.bytes, at + 4)?)?;
            let raw = u32_at(&self.bytes, at + 8)?;
            // With bit fields in the struct, the upper 8 bits are the member's width in bits.
            let bits = u64::from(if of.bit_fields {
                raw & 0x00FF_FFFF
            } else {
                raw
            });
            let width = if of.bit_fields { raw >> 24 } else { 0 };
            let anonymous = self.is_named(member_name, "");
            if !anonymous && self.is_named(member_name, name) {
                // A bit field that begins on a byte is still not readable as its type.
                let bits = if width == 0 { bits } else { bits | 1 };
                return Ok(Some(Member { bits, of_type }));
            }
            if anonymous && let Some(found) = self.member(of_type, name, depth + 1)? {
                return Ok(Some(Member {
                    bits: bits + found.bits,
                    of_type: found.of_type,
                }));
            }
        }
        Ok(None)
    }

    /// Follows qualifiers and typedefs to a struct or union; `None` where there is none behind.
    fn aggregate(&self, mut of: Type) -> Result<Option<Type>, BtfError> {
        for _ in 0..MAX_NESTING {
            match of.kind {
                // BTF_KIND_STRUCT, BTF_KIND_UNION
                4 | 5 => return Ok(Some(of)),
                // BTF_KIND_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG
                8..=11 | 18 => of = self.type_by_id(of.refers_to)?,
                _ => return Ok(None),
            }
        }
        Err(BtfError::Corrupt {
            at: of.rest,
            what: "an end to the chain of qualifiers",
        })
    }

    fn type_by_id(&self, id: u32) -> Result<Type, BtfError> {
        if id == 0 {
            // void: a type without members.
            let void = Type {
                name: 0,
                kind: 0,
                members: 0,
                bit_fields: false,
                refers_to: 0,
                rest: 0,
            };
            return Ok(void);
        }
        let offset = self.types.get(id as usize).ok_or(BtfError::Corrupt {
            at: 0,
            what: "a type number that exists",
        })?;
        self.read_type(*offset as usize)
    }

    fn read_type(&self, offset: usize) -> Result<Type, BtfError> {
        let info = u32_at(&self.bytes, offset + 4)?;
        Ok(Type {
            name: u32_at(&self.bytes, offset)?,
            kind: (info >> 24) & 0x1F,
            members: (info & 0xFFFF) as usize,
            bit_fields: info >> 31 == 1,
            refers_to: u32_at(&self.bytes, offset + 8)?,
            rest: offset + TYPE_BYTES,
        })
    }

    /// Whether the string at `offset` of the string section is `name`.
    fn is_named(&self, offset: u32, name: &str) -> bool {
        let start = self.strings.0 + offset as usize;
        let Some(end) = start.checked_add(name.len()) else {
            return false;
        };
        end < self.strings.1
            && self.bytes.get(start..end) == Some(name.as_bytes())
            && self.bytes.get(end) == Some(&0)
    }
}

struct Member {
    bits: u64,
    of_type: Type,
}

/// Bytes that follow `struct btf_type`, by kind; `None` for a kind this reader does not know.
fn extra_bytes(found: &Type) -> Option<usize> {
    let members = found.members;
    Some(match found.kind {
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => 4,
        // ARRAY
        3 => 12,
        // STRUCT, UNION, DATASEC, ENUM64
        4 | 5 | 15 | 19 => members * 12,
        // ENUM, FUNC_PROTO
        6 | 13 => members * 8,
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let cut_short = BtfError::Corrupt {
        at,
        what: "four more bytes",
    };
    let end = at.checked_add(4).ok_or_else(|| cut_short.clone())?;
    let four = bytes
        .get(at..end)
        .and_then(|four| four.try_into().ok())
        .ok_or(cut_short)?;
    Ok(u32::from_le_bytes(four))
}

/// Start and end of a section, checked to lie in the bytes.
fn section(
    bytes: &[u8],
    header: usize,
    offset: u32,
    length: u32,
    what: &'static str,
) -> Result<(usize, usize), BtfError> {
    let start = header.checked_add(offset as usize);
    let end = start.and_then(|start| start.checked_add(length as usize));
    match (start, end) {
        (Some(start), Some(end)) if end <= bytes.len() => Ok((start, end)),
        _ => Err(BtfError::Corrupt { at: header, what }),
    }
}
