//! The cache of everything downloaded or built once: a slot is a directory named by the hash of its
//! recipe, made beside its final place and renamed into it, so that it is either whole or absent.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::paths;

/// The file in a slot whose time of change is when the slot was last used.
const USED: &str = ".used";
/// How long an unused slot stays.
const KEPT: Duration = Duration::from_hours(14 * 24);

/// The hash of a recipe. Parts are length-prefixed: moving a byte from one part to the next gives
/// another key.
pub fn key<P: AsRef<[u8]>>(parts: &[P]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize()[..8]
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The directory of a slot, whether it exists or not.
pub fn slot(kind: &str, key: &str) -> Result<PathBuf> {
    Ok(paths::cache()?.join(kind).join(key))
}

/// Gives the directory of a slot, making it with `make` if it is not there. `make` fills the empty
/// directory it is given. Any number of processes may ask at once: one makes, the others wait.
pub fn ensure(
    kind: &str,
    key: &str,
    what: &str,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let place = slot(kind, key)?;
    if place.is_dir() {
        touch(&place);
        return Ok(place);
    }
    let base = paths::cache()?;
    let _lock = lock(&base, &format!("{kind}-{key}"))?;
    if place.is_dir() {
        touch(&place);
        return Ok(place);
    }
    eprintln!("set-up: {what}");
    // Under the lock nobody else works on this slot: what lies here was left by a killed run.
    let work = base.join("tmp").join(format!("{kind}-{key}"));
    if work.exists() {
        fs::remove_dir_all(&work)
            .with_context(|| format!("cannot clear {}, remove it by hand", work.display()))?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    make(&work).with_context(|| format!("{what} (unfinished work in {})", work.display()))?;
    let parent = place.parent().unwrap_or(&base);
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    fs::rename(&work, &place)
        .with_context(|| format!("cannot move {} to {}", work.display(), place.display()))?;
    touch(&place);
    forget_unused(parent, SystemTime::now());
    Ok(place)
}

/// Notes that a slot is in use. A cache that another user made is read all the same.
fn touch(place: &Path) {
    fs::write(place.join(USED), b"").ok();
}

/// Removes the slots of one kind that nothing has used for [`KEPT`]: recipes change, and an old
/// root disk is a gigabyte. What cannot be removed stays.
fn forget_unused(kind: &Path, now: SystemTime) {
    let Ok(slots) = fs::read_dir(kind) else {
        return;
    };
    for slot in slots.filter_map(Result::ok).map(|entry| entry.path()) {
        let used = fs::metadata(slot.join(USED)).and_then(|meta| meta.modified());
        let unused = used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > KEPT));
        if unused {
            fs::remove_dir_all(&slot).ok();
        }
    }
}

/// An exclusive lock, held until the file is dropped or the process ends.
fn lock(base: &Path, name: &str) -> Result<File> {
    let dir = base.join("locks");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open the lock {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        eprintln!("set-up: waiting for another run that makes {name}");
        flock(&file, FlockOperation::LockExclusive)
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

/// The bytes of every file below `dir` with their names, in a fixed order: the part of a recipe
/// that is kept as files.
pub fn tree_recipe(dir: &Path) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    walk(dir, &mut files)?;
    files.sort();
    let mut recipe = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(dir)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        recipe.extend_from_slice(format!("{name}\0{}\0", bytes.len()).as_bytes());
        recipe.extend_from_slice(&bytes);
    }
    Ok(recipe)
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry
            .with_context(|| format!("cannot list {}", dir.display()))?
            .path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_depends_on_where_one_part_ends() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
        assert_eq!(key(&["ab"]).len(), 16);
    }

    #[test]
    fn tree_recipe_sees_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/a"), "1").unwrap();
        let before = tree_recipe(dir.path()).unwrap();
        fs::rename(dir.path().join("sub/a"), dir.path().join("sub/b")).unwrap();
        let renamed = tree_recipe(dir.path()).unwrap();
        fs::write(dir.path().join("sub/b"), "2").unwrap();
        let changed = tree_recipe(dir.path()).unwrap();
        assert!(before != renamed && renamed != changed && before != changed);
    }

    #[test]
    fn only_slots_unused_for_long_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["used", "never-marked"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        touch(&dir.path().join("used"));
        let now = SystemTime::now();
        forget_unused(dir.path(), now + KEPT / 2);
        assert!(dir.path().join("used").is_dir());
        forget_unused(dir.path(), now + KEPT * 2);
        assert!(!dir.path().join("used").exists());
        assert!(dir.path().join("never-marked").is_dir());
    }
}
