//! Mount tables of other mount namespaces: a disk that only a container has mounted is in use.

use std::collections::HashSet;

use super::{MountTable, Roots, attributes};

/// One mount table for each mount namespace other than our own. A process that ends meanwhile
/// takes nothing away: another of its namespace stands for it, or the namespace is gone.
pub(super) fn other_tables(roots: &Roots) -> Vec<MountTable> {
    let namespace_of = |process: &str| {
        rustix::fs::readlink(roots.proc.join(process).join("ns/mnt"), Vec::new()).ok()
    };
    let mut seen = HashSet::new();
    if let Some(own) = namespace_of("self") {
        seen.insert(own);
    }
    let mut tables = Vec::new();
    for process in attributes::list_path(&roots.proc).unwrap_or_default() {
        if !process.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Some(namespace) = namespace_of(&process) else {
            continue;
        };
        if seen.contains(&namespace) {
            continue;
        }
        // A zombie has no mounts any more: let another process speak for the namespace.
        if let Ok(table) = MountTable::read(roots, &process)
            && !table.mounts().is_empty()
        {
            seen.insert(namespace);
            tables.push(table);
        }
    }
    tables
}
