//! The maintenance programs that a live database host depends on, found by their executables.
//!
//! A program is known by the identity of its file, so that another file of the same name has no
//! grant. The file must be the program itself: root's, not writable by others, no script unless the
//! tool is known to be one, and no multi-call binary of other programs such as busybox.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use guard_abi::{
    ArgumentName, ArgumentRole, ExeId, ToolRule, VerbKey, VerbRule, maps, tool_grant, verb_source,
};

use super::exe::exe_id;
use super::verbs::{
    BEFORE_VERBS, CRYPTSETUP_VERBS, E2FSCK_VERBS, FSCK_FAT_VERBS, INTEGRITY_VERBS, LVM_VERBS,
    MDADM_VERBS, POOL_VERBS, SYSTEMD_CRYPTSETUP_VERBS, TUNE2FS_VERBS, Verb, ZPOOL_VERBS,
};
use crate::topology::MountTable;

/// How a tool's grants are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbs {
    /// It has them whatever its arguments.
    Always(u32),
    /// By the name it is called by, or its first argument.
    MultiCall(&'static [Verb]),
    /// By its first argument that is no option.
    FirstWord(&'static [Verb]),
    /// By any of its arguments.
    AnyArgument(&'static [Verb]),
    /// It has them whatever its arguments, and may be a script.
    Script(u32),
    /// The first whatever its arguments, and more by any of them.
    AlwaysAndAnyArgument(u32, &'static [Verb]),
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Base name of its file, links followed.
    pub file: String,
    /// Where it is looked for; empty for the usual directories.
    pub path: Option<PathBuf>,
    /// What it may do.
    pub verbs: Verbs,
}

/// Directories with system programs. Programs in `/usr/local` have to be configured: whoever
/// wrote them is not the distribution.
const DIRECTORIES: &[&str] = &[
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/lib/systemd",
    "/usr/lib/udev",
    "/lib/udev",
];

/// Query programs of sg3-utils, smartmontools and ledmon: they open a drive for writing (`O_RDWR`)
/// to send it commands, which are judged one by one, and never call `write(2)` on it. Those that
/// do (`sg_dd`, `sgp_dd`, `sgm_dd`) and those that only destroy are not among them.
const QUERY_TOOLS: &[&str] = &[
    "smartctl",
    "smartd",
    "ledctl",
    "ledmon",
    "sg_inq",
    "sg_vpd",
    "sg_logs",
    "sg_modes",
    "sg_readcap",
    "sg_luns",
    "sg_turs",
    "sg_requests",
    "sg_opcodes",
    "sg_ses",
    "sg_get_config",
    "sg_get_lba_status",
    "sg_rtpg",
    "sg_referrals",
    "sg_ident",
    "sg_sat_identify",
    "sg_sat_read_gplog",
    "sg_read_block_limits",
    "sg_persist",
    "sg_map",
    "sg_scan",
    "sginfo",
];

/// Programs that have the kernel open disks for what they put together, by its own metadata or a
/// configuration, and that destroy nothing that way. What they open themselves is judged as anyone's.
/// Their daemons load tables while the host lives (a path that comes and goes, a disk that appears).
const STACK_TOOLS: &[&str] = &[
    "stratisd",
    // Tells the kernel of a disk with a bcache superblock; it takes no other
    // (drivers/md/bcache/super.c `read_super`).
    "bcache-register",
    // Attaches a replicated device's disk, by generic netlink.
    "drbdsetup",
    // Any request can be the one that makes the module open its pools.
    "zfs",
    "zed",
];

/// More names than this for one file: a farm of hard links, not one program.
const MAX_LINKS: u64 = 8;

/// The built-in programs and those of the configuration.
#[derive(Clone, Debug)]
pub struct ToolTable {
    tools: Vec<Tool>,
}

/// What the kernel half is told.
#[derive(Clone, Debug, Default)]
pub struct ResolvedTools {
    /// By executable.
    pub rules: Vec<(ExeId, ToolRule)>,
    /// Verbs.
    pub verbs: Vec<(VerbKey, VerbRule)>,
    /// Arguments for verbs whose arguments must all be listed.
    pub arguments: Vec<ArgumentName>,
    /// Files whose replacement (a package upgrade) makes [`ToolTable::resolve`] necessary again.
    pub watch: Vec<PathBuf>,
    /// Programs that were found and not accepted, and why.
    pub problems: Vec<String>,
}

impl Default for ToolTable {
    fn default() -> Self {
        Self::built_in()
    }
}

impl ToolTable {
    /// LVM, device-mapper events, MD, LUKS, ext, FAT and swap at boot, and drive health.
    ///
    /// Not here, because they work without: `xfs_growfs`, `btrfs`, `fstrim` (the mount is asked),
    /// `nvme`, `hdparm`, `blkid`, `fsck -n` (read-only opens; commands are
    /// judged by themselves). Not here on purpose: `e2label`, `fsadm`, `dmsetup`,
    /// `losetup`, `growpart`.
    pub fn built_in() -> Self {
        let tool = |file: &str, verbs| Tool {
            file: file.to_owned(),
            path: None,
            verbs,
        };
        let mut tools = vec![
            tool("lvm", Verbs::MultiCall(LVM_VERBS)),
            // Extends snapshots and thin pools, repairs RAID, all inside its own process.
            tool(
                "dmeventd",
                Verbs::Always(tool_grant::LVM | tool_grant::NEW_DM | tool_grant::STACK),
            ),
            tool("pdata_tools", Verbs::MultiCall(POOL_VERBS)),
            // Online growth alone: a shrink needs the file system unmounted, and then the device
            // has not the flag.
            tool("resize2fs", Verbs::Always(tool_grant::EXT_ONLINE)),
            tool("tune2fs", Verbs::AnyArgument(TUNE2FS_VERBS)),
            // Keeps external (IMSM, DDF) metadata; refuses arrays with native metadata.
            tool("mdmon", Verbs::Always(tool_grant::MD_MEMBER)),
            // Keep multipath devices: paths fail and come back, tables are loaded again.
            tool(
                "multipathd",
                Verbs::Always(tool_grant::KEEP_DM | tool_grant::STACK),
            ),
            tool(
                "multipath",
                Verbs::Always(tool_grant::KEEP_DM | tool_grant::STACK),
            ),
            // Partitions of multipath devices, run by udev.
            tool(
                "kpartx",
                Verbs::Always(tool_grant::KEEP_DM | tool_grant::STACK),
            ),
            // Makes an array by opening its node; members are judged one by one. The kernel opens
            // members for writing when an array is put together again.
            tool(
                "mdadm",
                Verbs::AlwaysAndAnyArgument(tool_grant::NEW_MD, MDADM_VERBS),
            ),
            tool("cryptsetup", Verbs::AnyArgument(CRYPTSETUP_VERBS)),
            tool(
                "systemd-cryptsetup",
                Verbs::FirstWord(SYSTEMD_CRYPTSETUP_VERBS),
            ),
            tool("e2fsck", Verbs::AnyArgument(E2FSCK_VERBS)),
            tool("fsck.fat", Verbs::AnyArgument(FSCK_FAT_VERBS)),
            // The kernel takes only what has a swap signature (mm/swapfile.c `read_swap_header`).
            tool("swapon", Verbs::Always(tool_grant::SWAP_ON)),
            // swapoff(2) opens the area for writing too, and takes only one that is on
            // (mm/swapfile.c `SYSCALL_DEFINE1(swapoff`).
            tool("swapoff", Verbs::Always(tool_grant::SWAP_ON)),
            // The log's own rotation, docs/operations/audit.md: renames, compresses, removes.
            tool("logrotate", Verbs::Always(tool_grant::ROTATE)),
            // What process 1 becomes once every service has ended: it turns off swap and stops
            // arrays (systemd, src/shutdown/shutdown.c).
            tool(
                "systemd-shutdown",
                Verbs::Always(tool_grant::SWAP_ON | tool_grant::SHUTDOWN),
            ),
        ];
        let stack = Verbs::Always(tool_grant::STACK);
        tools.extend(STACK_TOOLS.iter().map(|file| tool(file, stack)));
        tools.extend([
            tool("zpool", Verbs::FirstWord(ZPOOL_VERBS)),
            tool("integritysetup", Verbs::FirstWord(INTEGRITY_VERBS)),
            tool("systemd-integritysetup", Verbs::FirstWord(INTEGRITY_VERBS)),
            // Where the kernel half cannot tell that it is in mount(2).
            tool("mount", Verbs::Always(tool_grant::MOUNT)),
        ]);
        let query = Verbs::Always(tool_grant::DRIVE_QUERY);
        tools.extend(QUERY_TOOLS.iter().map(|file| tool(file, query)));
        tools.extend(super::boot_tools::table());
        Self { tools }
    }

    /// Adds a program by its path, with grants whatever its arguments.
    pub fn add(&mut self, path: &Path, grants: u32) {
        let file = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        self.tools.push(Tool {
            file: file.unwrap_or_default(),
            path: Some(path.to_owned()),
            verbs: Verbs::Script(grants),
        });
    }

    /// Takes a built-in program out by its name. False where there is none.
    pub fn disable(&mut self, file: &str) -> bool {
        let before = self.tools.len();
        self.tools.retain(|tool| tool.file != file);
        self.tools.len() != before
    }

    /// All of them.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Looks the programs up. `root` is the directory that the paths start from (`/` on a host);
    /// `free_volumes` are [`crate::topology::Classification::free_lv_arguments`].
    pub fn resolve(
        &self,
        root: &Path,
        mounts: &MountTable,
        free_volumes: &[String],
    ) -> ResolvedTools {
        let mut resolved = ResolvedTools::default();
        let mut owner: BTreeMap<(u32, u64), u32> = BTreeMap::new();
        for (at, tool) in self.tools.iter().enumerate() {
            let number = at as u32 + 1;
            resolved.verbs.extend(verbs_of(number, tool));
            for path in paths_of(tool) {
                let full = super::exe::inside(root, &path);
                match accept(tool, &full, mounts) {
                    Ok(None) => {}
                    Ok(Some((id, is_script))) => {
                        let rule = rule_of(number, tool, is_script);
                        resolved.watch.push(path.clone());
                        let holder = *owner.entry((id.dev, id.ino)).or_insert(number);
                        if holder == number {
                            resolved.rules.push((id, rule));
                        } else {
                            resolved.problems.push(shared(&path, tool));
                            resolved.rules.retain(|(known, _)| *known != id);
                        }
                    }
                    Err(problem) => {
                        resolved.watch.push(path.clone());
                        resolved.problems.push(problem);
                    }
                }
            }
        }
        // /sbin and /usr/sbin are one directory on most systems.
        let mut seen = std::collections::HashSet::new();
        resolved.rules.retain(|(id, _)| seen.insert(*id));
        resolved.problems.dedup();
        self.add_arguments(free_volumes, &mut resolved);
        resolved
    }

    /// The arguments that verbs list, and the names of free volumes where a verb may name those.
    fn add_arguments(&self, free_volumes: &[String], resolved: &mut ResolvedTools) {
        let room = maps::ARGUMENTS_MAX as usize;
        let mut names = Vec::new();
        let anywhere = BEFORE_VERBS.iter().copied();
        resolved
            .arguments
            .extend(anywhere.filter_map(|text| argument(NO_VERB, text)));
        for (at, tool) in self.tools.iter().enumerate() {
            for (index, verb) in verbs_in(tool).iter().enumerate() {
                let set = set_of(at as u32 + 1, index);
                let listed = verb.listed.iter().copied().flatten().copied();
                resolved
                    .arguments
                    .extend(listed.filter_map(|text| argument(set, text)));
                if verb.arguments == ArgumentRole::AllListed {
                    let free = free_volumes.iter().map(String::as_str);
                    names.extend(free.filter_map(|text| argument(set, text)));
                }
            }
        }
        let left = room.saturating_sub(resolved.arguments.len());
        if names.len() > left {
            resolved.problems.push(format!(
                "{} names of free logical volumes do not fit; lvremove is refused for them",
                names.len() - left
            ));
        }
        resolved.arguments.extend(names.into_iter().take(left));
    }
}

/// Number of the arguments that stand before any verb.
const NO_VERB: u32 = 0;

/// Number of the arguments that a verb of a tool lists; never [`NO_VERB`].
const fn set_of(tool: u32, verb: usize) -> u32 {
    (tool << 16) | (verb as u32 + 1)
}

fn verbs_in(tool: &Tool) -> &'static [Verb] {
    match tool.verbs {
        Verbs::Always(_) | Verbs::Script(_) => &[],
        Verbs::MultiCall(verbs)
        | Verbs::FirstWord(verbs)
        | Verbs::AnyArgument(verbs)
        | Verbs::AlwaysAndAnyArgument(_, verbs) => verbs,
    }
}

fn shared(path: &Path, tool: &Tool) -> String {
    format!(
        "{}: is the file of another program too; {} has no grant",
        path.display(),
        tool.file
    )
}

fn argument(set: u32, text: &str) -> Option<ArgumentName> {
    let bytes = text.as_bytes();
    let mut name = ArgumentName {
        set,
        text: [0; 124],
    };
    // One byte stays zero, so that a cut name never equals a whole one.
    if bytes.len() >= name.text.len() {
        return None;
    }
    name.text[..bytes.len()].copy_from_slice(bytes);
    Some(name)
}

fn rule_of(number: u32, tool: &Tool, is_script: bool) -> ToolRule {
    let (grants, source) = match tool.verbs {
        Verbs::Script(grants) if is_script => (grants, verb_source::SCRIPT),
        Verbs::Always(grants) | Verbs::Script(grants) => (grants, verb_source::NONE),
        Verbs::MultiCall(_) => (0, verb_source::MULTICALL),
        Verbs::FirstWord(_) => (0, verb_source::FIRST_WORD),
        Verbs::AnyArgument(_) => (0, verb_source::ANY_ARGUMENT),
        Verbs::AlwaysAndAnyArgument(grants, _) => (grants, verb_source::ANY_ARGUMENT),
    };
    ToolRule {
        tool: number,
        grants,
        verb_source: source,
    }
}

fn verbs_of(number: u32, tool: &Tool) -> Vec<(VerbKey, VerbRule)> {
    let key = |(index, verb): (usize, &Verb)| {
        let mut key = VerbKey {
            tool: number,
            verb: [0; 28],
        };
        let bytes = verb.text.as_bytes();
        key.verb.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let rule = VerbRule {
            grants: verb.grants,
            arguments: verb.arguments as u32,
            set: set_of(number, index),
        };
        Some((key, rule))
    };
    verbs_in(tool).iter().enumerate().filter_map(key).collect()
}

fn paths_of(tool: &Tool) -> Vec<PathBuf> {
    match &tool.path {
        Some(path) => vec![path.clone()],
        None => DIRECTORIES
            .iter()
            .map(|dir| Path::new(dir).join(&tool.file))
            .collect(),
    }
}

/// The identity of a program that may have its grants, and whether it is a script. `Ok(None)`: it is
/// not installed.
fn accept(tool: &Tool, path: &Path, mounts: &MountTable) -> Result<Option<(ExeId, bool)>, String> {
    let no_grant = |why: &str| Err(format!("{}: {why}; it has no grant", path.display()));
    let real = match std::fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return no_grant(&error.to_string()),
    };
    if real
        .file_name()
        .is_none_or(|name| name.to_string_lossy() != tool.file)
    {
        return no_grant(&format!("is {}, a program of another name", real.display()));
    }
    let Ok(meta) = std::fs::metadata(&real) else {
        return no_grant("cannot be looked at");
    };
    if !meta.is_file() {
        return no_grant("is no regular file");
    }
    if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return no_grant("is not root's alone to write");
    }
    if meta.nlink() > MAX_LINKS {
        return no_grant("has too many names, as a multi-call binary has");
    }
    let mut head = [0; 2];
    let began = std::fs::File::open(&real).and_then(|mut file| file.read(&mut head));
    let is_script = began.is_ok() && head == *b"#!";
    if is_script && !matches!(tool.verbs, Verbs::Script(_)) {
        return no_grant("is a script, and its interpreter is what the kernel sees");
    }
    match exe_id(mounts, &real) {
        Ok(id) => Ok(Some((id, is_script))),
        Err(error) => no_grant(&error.to_string()),
    }
}
