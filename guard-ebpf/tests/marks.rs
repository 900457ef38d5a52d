//! The marks never say of a place, or of a file in one, that it is none.

use std::collections::HashMap;

use guard_abi::marks::{ADDITION, Gate, Marks, PLAIN, slot};
use guard_abi::{FileAct, FileId, FileSystem, PlaceEntry, PlaceKind};
use guard_abi::{place_id, whole_id};
use guard_ebpf::decide::{Subject, Verdict};
use guard_ebpf::files::{FileObject, NameRule, decide};
use proptest::prelude::*;

type Table = HashMap<FileId, PlaceEntry>;

fn entry(kind: PlaceKind) -> PlaceEntry {
    PlaceEntry {
        kind: kind as u16,
        ..PlaceEntry::default()
    }
}

/// What the controller writes, at its steps: before the places, after them, and in the end. `files`
/// are all that there are.
fn written(marks: &mut Marks, places: &Table, files: &[File], handed_over: u64) -> [Box<Marks>; 2] {
    for (id, place) in places {
        marks.mark(*id, *place);
    }
    marks.close(places.keys().copied());
    let closed = Box::new(*marks);
    for (dev, own, parent) in files {
        let directory = places.get(&place_id(FileSystem::Other, *dev, *parent));
        if directory.is_some_and(|place| place.kind != PlaceKind::Mount as u16) {
            marks.mark_member(*own);
        }
    }
    let marked = Box::new(*marks);
    marks.open(places.keys().copied(), handed_over);
    marks.open_plain(places.keys().map(|id| id.dev), handed_over);
    [closed, marked]
}

/// File system, number, directory.
type File = (u32, u64, u64);

/// What an open for writing asks: first the file alone, then its directory too.
fn is_spared(marks: &Marks, (dev, own, parent): File, handed_over: u64) -> bool {
    marks.is_plain(dev, own, handed_over) || is_ordinary(marks, dev, own, parent, handed_over)
}

/// What a program asks: the file, its directory, its file system.
fn is_ordinary(marks: &Marks, dev: u32, own: u64, parent: u64, handed_over: u64) -> bool {
    match marks.gate(dev, handed_over) {
        Gate::NoPlaces => true,
        Gate::LookUp => false,
        Gate::ByMarks => marks.files[slot(own)] == 0 && marks.directories[slot(parent)] == 0,
    }
}

/// What looking it up says, for the strictest of names and subjects.
fn is_allowed(places: &Table, dev: u32, own: u64, parent: u64) -> bool {
    let kind = |id: FileId| {
        let entry = places.get(&id);
        entry.map_or(PlaceKind::None, |entry| {
            PlaceKind::from_u8(entry.kind as u8).unwrap_or(PlaceKind::None)
        })
    };
    let at = |ino| kind(place_id(FileSystem::Other, dev, ino));
    let parent = match at(parent) {
        PlaceKind::None => kind(whole_id(dev)),
        parent => parent,
    };
    let own = at(own);
    let subject = Subject {
        critical: false,
        grants: 0,
    };
    let object = FileObject {
        fs: FileSystem::Other,
        own,
        parent,
        rule: NameRule::NONE,
    };
    (1..=u8::MAX)
        .map_while(FileAct::from_u8)
        .all(|act| decide(subject, object, act) == Verdict::ALLOW)
}

const KINDS: [PlaceKind; 8] = [
    PlaceKind::Boot,
    PlaceKind::BootState,
    PlaceKind::Guard,
    PlaceKind::Mount,
    PlaceKind::Pins,
    PlaceKind::GuardProgram,
    PlaceKind::GuardLog,
    PlaceKind::GuardConfig,
];

// Few numbers, so that files, directories and file systems meet; 1024 apart, device numbers share a
// slot.
fn dev() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![
        0x0080_0001,
        0x0080_0002,
        0x0080_0401,
        0x0fd0_0000,
        0x21,
    ])
}

fn ino() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64..12, Just(8_193), Just(131_073), any::<u64>()]
}

fn places() -> impl Strategy<Value = Table> {
    let one = (dev(), ino(), 0..16_u8, prop::sample::select(KINDS.to_vec()));
    prop::collection::vec(one, 0..12).prop_map(|places| {
        let id = |dev, ino, form: u8| match form {
            0 => whole_id(dev),
            1 => place_id(FileSystem::Sysfs, dev, ino),
            _ => place_id(FileSystem::Other, dev, ino),
        };
        let places = places.into_iter();
        places
            .map(|(dev, ino, form, kind)| (id(dev, ino, form), entry(kind)))
            .collect()
    })
}

proptest! {
    #[test]
    fn no_false_no(
        before in places(),
        after in places(),
        files in prop::collection::vec((dev(), ino(), ino()), 1..40),
    ) {
        let mut marks = Box::new(Marks::EMPTY);
        // Nothing is spared before anything is known.
        for file in &files {
            prop_assert!(!is_spared(&marks, *file, 0));
        }
        written(&mut marks, &before, &files, 0);
        let opened = *marks;
        let between = written(&mut marks, &after, &files, ADDITION);
        for file in files {
            let (dev, own, parent) = file;
            let spared = |marks, handed_over| is_spared(marks, file, handed_over);
            if spared(&opened, 0) {
                prop_assert!(is_allowed(&before, dev, own, parent));
            }
            for (step, marks) in between.iter().enumerate() {
                if spared(marks, 0) {
                    prop_assert!(is_allowed(&before, dev, own, parent));
                }
                // While one table takes the place of the other, both count.
                if is_ordinary(marks, dev, own, parent, 0) || step == 1 && spared(marks, 0) {
                    prop_assert!(is_allowed(&after, dev, own, parent));
                }
            }
            if spared(&marks, ADDITION) {
                prop_assert!(is_allowed(&after, dev, own, parent));
            }
            // What the kernel half has added since is not among the marks.
            prop_assert!(!marks.is_plain(dev, own, 2 * ADDITION));
            if spared(&marks, 2 * ADDITION) {
                prop_assert_eq!(marks.gate(dev, 2 * ADDITION), Gate::NoPlaces);
            }
        }
    }
}

#[test]
fn file_systems_that_are_told_one_by_one() {
    let (disk, other, esp, memory) = (0x0080_0001, 0x0080_0002, 0x0080_0003, 0x21);
    let place = |dev| (place_id(FileSystem::Other, dev, 42), entry(PlaceKind::Boot));
    let whole = (whole_id(esp), entry(PlaceKind::Boot));
    let places = Table::from([place(disk), place(other), place(memory), whole]);
    let mut marks = Box::new(Marks::EMPTY);
    let is_plain = |marks: &Marks, handed_over| {
        [disk, other, esp, memory, 0].map(|dev| marks.is_plain(dev, 7, handed_over))
    };
    marks.open(places.keys().copied(), 5 * ADDITION);
    assert_eq!(is_plain(&marks, 5 * ADDITION), [false; 5]);
    // What is no disk, or a place as a whole, is not among them.
    let all = [memory, esp, disk, other];
    marks.open_plain(all.into_iter(), 5 * ADDITION);
    let expected = [true, true, false, false, false];
    assert_eq!(is_plain(&marks, 5 * ADDITION), expected);
    assert_eq!(is_plain(&marks, 6 * ADDITION), [false; 5]);
    assert!(marks.is_up_to(5 * ADDITION) && !marks.is_up_to(6 * ADDITION));
    // One of them becomes a place as a whole.
    marks.close([whole_id(other)].into_iter());
    assert_eq!(
        is_plain(&marks, 5 * ADDITION),
        [true, false, false, false, false]
    );
    marks.mark_member(7);
    assert_eq!(is_plain(&marks, 5 * ADDITION), [false; 5]);
    marks.close_all();
    assert_eq!(marks.plain, [0; PLAIN]);
}

#[test]
fn a_data_directory_says_nothing_of_its_files() {
    let dev = 0x0080_0001;
    let directory = place_id(FileSystem::Other, dev, 42);
    let places = Table::from([(directory, entry(PlaceKind::Mount))]);
    let mut marks = Box::new(Marks::EMPTY);
    written(&mut marks, &places, &[], 0);
    assert!(is_ordinary(&marks, dev, 43, 42, 0));
    assert!(!is_ordinary(&marks, dev, 42, 2, 0));
}

#[test]
fn words_that_mean_something_else_are_not_written() {
    let dev = 0x0080_0001;
    let places = Table::from([(place_id(FileSystem::Other, dev, 42), entry(PlaceKind::Boot))]);
    let mut marks = Box::new(Marks::EMPTY);
    for additions in [i32::MAX as u64 - 1, i32::MAX as u64, u32::MAX.into()] {
        let handed_over = additions * ADDITION;
        marks.open(places.keys().copied(), handed_over);
        marks.open_plain([dev].into_iter(), handed_over);
        assert_eq!(marks.gate(dev, handed_over), Gate::LookUp);
        assert!(!marks.is_plain(dev, 7, handed_over));
    }
}

#[test]
fn neighbours_have_slots_of_their_own() {
    // Directories at the same place of ext4's groups.
    let mut slots: Vec<usize> = (0..512_u64).map(|group| slot(group * 8_192 + 1)).collect();
    slots.sort_unstable();
    slots.dedup();
    assert!(slots.len() > 480, "{}", slots.len());
}
