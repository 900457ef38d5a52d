//! LVM's own text copies of volume groups' metadata, `/etc/lvm/backup/<group>`: the only place
//! that tells of inactive volumes without opening a disk (vgcfgbackup(8), lvm.conf(5) `backup`).
//!
//! LVM writes a copy after each change, unless it is told not to: a copy may be behind, and
//! whoever asks it must be prepared for that. What is not understood to the end gives nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Roots, attributes};

/// Larger files are not read. A metadata area is 1 MiB unless somebody asked for more.
const MAX_BYTES: u64 = 4 << 20;
/// Sections within sections; LVM writes five.
const MAX_DEPTH: usize = 16;

/// A volume group as its copy describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: Box<str>,
    /// UUID without dashes.
    pub(super) id: Box<str>,
    /// When the copy was made, seconds since 1970; 0 where it does not say.
    pub(super) written: u64,
    /// Other hosts use it too: inactive here does not mean inactive.
    pub(super) shared: bool,
    pub(super) volumes: Vec<Volume>,
}

/// A logical volume of a [`Group`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) name: Box<str>,
    /// UUID without dashes.
    pub(super) id: Box<str>,
    /// `VISIBLE`, `READ`, `WRITE`, ….
    pub(super) status: Vec<Box<str>>,
    /// Other volumes of the group that its segments name: parts, pool, origin, store of a snapshot.
    pub(super) refers: Vec<Box<str>>,
}

/// The copies of all groups as they were read last, by the names of their files.
#[derive(Clone, Debug, Default)]
pub(super) struct Copies {
    files: BTreeMap<String, Copy>,
}

#[derive(Clone, Debug)]
struct Copy {
    stamp: Stamp,
    group: Option<Group>,
}

/// Where LVM keeps them: the default of `backup/backup_dir`, lvm.conf(5).
pub fn backups(roots: &Roots) -> std::path::PathBuf {
    roots.host_root().join("etc/lvm/backup")
}

/// Inode, size, seconds and nanoseconds of the last change: the same text where they are the same.
type Stamp = (u64, u64, i64, i64);

impl Copies {
    /// Reads what is new or has changed, and forgets what is gone.
    pub(super) fn refresh(&mut self, roots: &Roots) {
        let dir = backups(roots);
        let mut before = std::mem::take(&mut self.files);
        for name in attributes::list_path(&dir).unwrap_or_default() {
            if let Some(copy) = read(&dir.join(&name), before.remove(&name)) {
                self.files.insert(name, copy);
            }
        }
    }

    /// Groups that are described in the file of their own name.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.files
            .iter()
            .filter_map(|(name, copy)| copy.group.as_ref().filter(|group| *group.name == **name))
    }

    /// Ids of all groups of this name, whatever file they are described in.
    pub(super) fn ids_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.files
            .values()
            .filter_map(|copy| copy.group.as_ref())
            .filter(move |group| &*group.name == name)
            .map(|group| &*group.id)
    }
}

fn read(path: &Path, before: Option<Copy>) -> Option<Copy> {
    // Whatever somebody put there: a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return None;
    }
    let stamp = (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    if let Some(before) = before
        && before.stamp == stamp
    {
        return Some(before);
    }
    let mut text = String::new();
    let group = file
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .ok()
        .and_then(|_| parse(&text));
    Some(Copy { stamp, group })
}

/// Reads a whole copy; `None` where it is not exactly one group from its beginning to its end.
pub(super) fn parse(text: &str) -> Option<Group> {
    let mut lexer = Lexer { rest: text };
    let mut path: Vec<Cow<'_, str>> = Vec::new();
    let mut draft = Draft::default();
    loop {
        let key = match lexer.token()? {
            Token::End if path.is_empty() => return draft.finish(),
            Token::Close => {
                path.pop()?;
                continue;
            }
            Token::Text(key) => key,
            _ => return None,
        };
        match lexer.token()? {
            Token::Open if path.len() < MAX_DEPTH => {
                path.push(key);
                draft.section(&path)?;
            }
            Token::Equals => {
                for value in lexer.values()? {
                    draft.value(&path, &key, value)?;
                }
            }
            _ => return None,
        }
    }
}

/// What the format consists of (libdm/libdm-config.c `_get_token`).
#[derive(Debug, PartialEq)]
enum Token<'a> {
    /// A name, a number or a string.
    Text(Cow<'a, str>),
    Open,
    Close,
    ListOpen,
    ListClose,
    Equals,
    Comma,
    End,
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    /// `None` where a string has no end.
    fn token(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_start();
        while let Some(comment) = self.rest.strip_prefix('#') {
            let (_, next) = comment.split_once('\n').unwrap_or_default();
            self.rest = next.trim_start();
        }
        let Some(first) = self.rest.chars().next() else {
            return Some(Token::End);
        };
        let token = match first {
            '{' => Token::Open,
            '}' => Token::Close,
            '[' => Token::ListOpen,
            ']' => Token::ListClose,
            '=' => Token::Equals,
            ',' => Token::Comma,
            '"' | '\'' => return self.string(first),
            _ => return Some(self.word()),
        };
        self.rest = &self.rest[1..];
        Some(token)
    }

    fn word(&mut self) -> Token<'a> {
        let ends = |c: char| c.is_whitespace() || "{}[]=,\"'#".contains(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Token::Text(word.into())
    }

    /// In double quotes a backslash takes the meaning from a quote or another backslash.
    fn string(&mut self, quote: char) -> Option<Token<'a>> {
        let inside = &self.rest[1..];
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && quote == '"' && !escaped;
            ends
        })?;
        let text = &inside[..end];
        self.rest = &inside[end + 1..];
        Some(Token::Text(if quote == '"' && text.contains('\\') {
            unescape(text).into()
        } else {
            text.into()
        }))
    }

    /// One value, or those of a list.
    fn values(&mut self) -> Option<Vec<Cow<'a, str>>> {
        let mut values = Vec::new();
        match self.token()? {
            Token::Text(value) => values.push(value),
            Token::ListOpen => loop {
                match self.token()? {
                    Token::Text(value) => values.push(value),
                    Token::Comma => {}
                    Token::ListClose => break,
                    _ => return None,
                }
            },
            _ => return None,
        }
        Some(values)
    }
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.next_if(|next| c == '\\' && matches!(next, '\\' | '"'));
        plain.push(next.unwrap_or(c));
    }
    plain
}

/// A [`Group`] while it is read.
#[derive(Default)]
struct Draft<'a> {
    group: Group,
    volumes: Vec<DraftVolume<'a>>,
}

#[derive(Default)]
struct DraftVolume<'a> {
    volume: Volume,
    /// All strings in its segments. Which of them are volumes is known at the end.
    strings: BTreeSet<Cow<'a, str>>,
}

impl<'a> Draft<'a> {
    /// A section begins, the last of the path.
    fn section(&mut self, path: &[Cow<'a, str>]) -> Option<()> {
        match path {
            [name] if self.group.name.is_empty() && is_name(name) => {
                self.group.name = name.as_ref().into();
            }
            [_] => return None,
            [_, kind, name] if kind == "logical_volumes" => {
                let mut draft = DraftVolume::default();
                draft.volume.name = is_name(name).then(|| name.as_ref().into())?;
                self.volumes.push(draft);
            }
            _ => {}
        }
        Some(())
    }

    /// A value of the section that the path leads to; `None` where it cannot be one.
    fn value(&mut self, path: &[Cow<'a, str>], key: &str, value: Cow<'a, str>) -> Option<()> {
        match (path, key) {
            ([], "creation_time") => self.group.written = value.parse().ok()?,
            ([_], "id") => self.group.id = id(&value)?,
            // lib/metadata/vg.c `vg_is_shared`, and `is_clustered` of LVM before 2.03.
            ([_], "lock_type") => self.group.shared |= value != "none",
            ([_], "status") => self.group.shared |= value == "CLUSTERED",
            ([_, kind, _, rest @ ..], _) if kind == "logical_volumes" => {
                let draft = self.volumes.last_mut()?;
                match (rest, key) {
                    ([], "id") => draft.volume.id = id(&value)?,
                    ([], "status") => draft.volume.status.push(value.as_ref().into()),
                    ([], _) => {}
                    _ => {
                        draft.strings.insert(value);
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    fn finish(self) -> Option<Group> {
        let mut group = self.group;
        let names: BTreeSet<Box<str>> = self
            .volumes
            .iter()
            .map(|draft| draft.volume.name.clone())
            .collect();
        let mut ids = BTreeSet::new();
        for DraftVolume { volume, strings } in self.volumes {
            if !ids.insert(volume.id.clone()) || volume.id.is_empty() {
                return None;
            }
            let others = strings
                .iter()
                .filter(|text| ***text != *volume.name && names.contains(text.as_ref()))
                .map(|text| text.as_ref().into());
            group.volumes.push(Volume {
                refers: others.collect(),
                ..volume
            });
        }
        let whole = names.len() == group.volumes.len() && !group.id.is_empty();
        whole.then_some(group)
    }
}

/// A name that LVM gives to groups and volumes (lib/misc/lvm-string.c `validate_name`).
fn is_name(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"+_.-".contains(&byte);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(valid)
}

/// A UUID without its dashes.
fn id(text: &str) -> Option<Box<str>> {
    let plain = text.replace('-', "");
    (plain.len() == super::lvm::UUID && plain.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then(|| plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("lvm_metadata_example.txt");

    fn volume<'a>(group: &'a Group, name: &str) -> &'a Volume {
        let mut volumes = group.volumes.iter();
        volumes.find(|volume| &*volume.name == name).unwrap()
    }

    #[test]
    fn a_group_is_read_with_its_volumes_and_what_they_refer_to() {
        let group = parse(TEXT).unwrap();
        assert_eq!(&*group.name, "vg-1");
        assert_eq!(&*group.id, "Zx2EWZaaaabbbbccccddddeeeeffffff");
        assert_eq!((group.written, group.shared), (1_795_255_200, false));
        assert_eq!(group.volumes.len(), 14);
        let data = volume(&group, "data");
        assert_eq!(&*data.id, "LvDATAaaaabbbbccccddddeeeeffffff");
        assert_eq!(data.status, ["READ", "WRITE", "VISIBLE"].map(Box::from));
        for (name, refers) in [
            ("data", "pv0"),
            ("pool", "pool_tdata pool_tmeta young"),
            ("thin", "pool"),
            ("old", "pool thin"),
            ("snapshot0", "data snap"),
            (
                "mirror",
                "mirror_rimage_0 mirror_rimage_1 mirror_rmeta_0 mirror_rmeta_1",
            ),
        ] {
            // A physical volume is no volume of the group; neither is a tag a reference.
            let expected = refers.split(' ').filter(|name| *name != "pv0");
            let found = volume(&group, name).refers.iter().map(AsRef::as_ref);
            assert!(found.eq(expected), "{name}: {:?}", volume(&group, name));
        }
        assert_eq!(volume(&group, "pool_tdata").status.len(), 2);
    }

    #[test]
    fn half_a_copy_gives_nothing() {
        let end = TEXT.rfind('}').unwrap();
        for at in (0..=end).filter(|at| TEXT.is_char_boundary(*at)) {
            assert_eq!(parse(&TEXT[..at]), None, "{at}");
        }
        for at in (0..=end).filter(|at| TEXT.is_char_boundary(*at)) {
            let _never_panics = parse(&TEXT[at..]);
        }
    }

    #[test]
    fn what_is_no_copy_gives_nothing() {
        let whole = |head: &str, volumes: &str| {
            let id = "a".repeat(32);
            parse(&format!(
                "{head} vg {{ id = \"{id}\" logical_volumes {{ {volumes} }} }}"
            ))
        };
        let (one, two) = ("b".repeat(32), "c".repeat(32));
        assert!(whole("", &format!("a {{ id = \"{one}\" }} b {{ id = '{two}' }}")).is_some());
        for volumes in [
            format!("a {{ id = \"{one}\" }} a {{ id = \"{two}\" }}"),
            format!("a {{ id = \"{one}\" }} b {{ id = \"{one}\" }}"),
            format!("\"a b\" {{ id = \"{one}\" }}"),
            format!("-a {{ id = \"{one}\" }}"),
            "a { id = \"short\" }".to_owned(),
            "a { }".to_owned(),
            "a { id = [ }".to_owned(),
            "a = { }".to_owned(),
            "}".to_owned(),
            "\"".to_owned(),
            "a {".repeat(10_000),
            "[".repeat(10_000),
        ] {
            assert_eq!(whole("", &volumes), None, "{volumes:.60}");
        }
        assert_eq!(whole("creation_time = soon", ""), None);
        assert_eq!(whole("other { }", ""), None);
        for junk in [
            "",
            "#",
            "vg",
            "vg {",
            "vg { }",
            "vg = 1",
            "{",
            "\0\u{fffd}é",
        ] {
            assert_eq!(parse(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn strings_end_where_lvm_ends_them() {
        let tokens = |text| {
            let mut lexer = Lexer { rest: text };
            lexer.values()
        };
        for (text, expected) in [
            (r#""a\"b\\" x"#, r#"a"b\"#),
            (r#""a\nb""#, r"a\nb"),
            ("\"# no { comment\"", "# no { comment"),
            (r"'a\'", r"a\"),
            ("12#c", "12"),
        ] {
            assert_eq!(tokens(text), Some(vec![expected.into()]), "{text}");
        }
        assert_eq!(tokens(r#""a\""#), None);
        assert_eq!(
            tokens("[ \"a\", # one\n 2 ,\n]"),
            Some(vec!["a".into(), "2".into()])
        );
    }

    #[test]
    fn a_group_of_several_hosts_says_so() {
        let with = |line: &str| {
            let text = TEXT.replace("\tseqno = 31\n", line);
            parse(&text).unwrap().shared
        };
        assert!(with("lock_type = \"sanlock\"\n"));
        assert!(!with("lock_type = \"none\"\n"));
        assert!(with("status = [\"READ\", \"CLUSTERED\"]\n"));
    }

    #[test]
    fn copies_are_read_again_when_they_change() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::under(root.path());
        let dir = backups(&roots);
        let mut copies = Copies::default();
        copies.refresh(&roots);
        assert_eq!(copies.groups().count(), 0);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("vg-1"), TEXT).unwrap();
        // By another name it is somebody's own copy, and only tells of a second group.
        std::fs::write(dir.join("kept"), TEXT.replace("Zx2EWZ", "Other1")).unwrap();
        std::fs::write(dir.join("junk"), [0xff, 0xfe]).unwrap();
        File::create(dir.join("huge"))
            .and_then(|file| file.set_len(MAX_BYTES + 1))
            .unwrap();
        std::fs::create_dir(dir.join("directory")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("pipe"), Mode::RWXU).unwrap();
        for _ in 0..2 {
            copies.refresh(&roots);
            assert_eq!(copies.groups().count(), 1);
            assert_eq!(copies.ids_of("vg-1").count(), 2);
        }
        std::fs::write(dir.join("vg-1"), TEXT.replace("old {", "older {")).unwrap();
        copies.refresh(&roots);
        let group = copies.groups().next().unwrap();
        assert_eq!(&*volume(group, "older").name, "older");
        std::fs::remove_dir_all(&dir).unwrap();
        copies.refresh(&roots);
        assert_eq!(copies.groups().count(), 0);
    }
}
