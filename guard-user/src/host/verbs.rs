//! What each maintenance program may do, and why. Every line here lets a program open a protected
//! device for writing, so every line says why that cannot end in lost data.

use guard_abi::{ArgumentRole, tool_grant};

/// What a verb of a tool is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verb {
    /// The verb, at most 27 bytes.
    pub text: &'static str,
    /// Bits of [`tool_grant`].
    pub grants: u32,
    /// How its arguments are judged.
    pub arguments: ArgumentRole,
    /// Arguments that are listed, in parts that verbs share. One that ends in an equals sign stands
    /// for itself with any value.
    pub listed: Parts,
}

/// Listed arguments in parts.
pub type Parts = &'static [&'static [&'static str]];

pub(super) const fn any(text: &'static str, grants: u32) -> Verb {
    Verb {
        text,
        grants,
        arguments: ArgumentRole::Any,
        listed: &[],
    }
}

/// Granted where it names what is free, with no other options than these.
pub(super) const fn of_free(text: &'static str, grants: u32, options: Parts) -> Verb {
    Verb {
        text,
        grants,
        arguments: ArgumentRole::AllListed,
        listed: options,
    }
}

/// Never granted, whatever else the line says: no other argument may stand beside it, and one always
/// does.
const fn never(text: &'static str) -> Verb {
    of_free(text, 0, &[])
}

/// Granted with no other options than these, whatever it names.
pub(super) const fn with_options(text: &'static str, grants: u32, options: Parts) -> Verb {
    Verb {
        text,
        grants,
        arguments: ArgumentRole::OptionsListed,
        listed: options,
    }
}

/// Physical volumes of groups in use, and nodes just made (a new volume's first sectors are
/// wiped through its own node).
const LVM: u32 = tool_grant::LVM | ACTIVATE;

/// Nodes just made, and tables over whatever the group's metadata names.
const ACTIVATE: u32 = tool_grant::NEW_DM | tool_grant::STACK;

/// The table of a device that is open is loaded again; what lies below is opened once more.
const REOPEN: u32 = tool_grant::KEEP_DM | tool_grant::STACK | tool_grant::UNLOCK;

/// Verbs of `lvm`, by whichever of its names it is called. The reading ones (`lvs`, `vgscan`,
/// `vgdisplay`, …) and `vgcfgbackup` open physical volumes read-only and need no grant; so do
/// `pvcreate`, `vgcreate`, `pvremove`, `vgremove` on free devices, which anyone may write.
///
/// Without a grant, because they destroy or take away what they name and no argument tells the
/// harmless case apart:
/// - `lvreduce`, `lvresize`: cut a volume's tail off; `lvextend` does the growing;
/// - `vgremove`, `pvremove`, `pvcreate`: on a protected volume they are the end of it;
/// - `vgreduce --removemissing --force`: drops every volume that lacks a part;
/// - `lvconvert` other than to repair: `--merge` rolls the volume back, `--splitmirrors` and
///   `--type` rebuild it;
/// - `vgcfgrestore`, `vgmerge`, `vgsplit`, `vgrename`, `lvrename`, `vgexport`, `vgimportclone`:
///   rewrite what the group is or is called, so that the next boot does not find it;
/// - `lvm` without a verb: its shell takes commands that nobody sees.
pub(super) const LVM_VERBS: &[Verb] = &[
    // New extents only; LVM gives none out twice. `-W`/`-Z` wipe the new volume.
    any("lvcreate", LVM),
    // Grows and cannot shrink; `-r` runs fsadm, whose children are judged by themselves.
    any("lvextend", LVM),
    // Activation, tags, refresh, how a RAID volume or a pool works: metadata. Deactivating a volume
    // in use is refused by LVM.
    with_options(
        "lvchange",
        LVM,
        &[COMMON_OPTIONS, CHANGE_OPTIONS, LVCHANGE_OPTIONS],
    ),
    with_options(
        "vgchange",
        LVM,
        &[COMMON_OPTIONS, CHANGE_OPTIONS, VGCHANGE_OPTIONS],
    ),
    any("pvchange", LVM),
    // Activates what is complete when a disk appears (lvm2 up to 2.03.16, `--activate ay`). It
    // writes no metadata.
    any("pvscan", ACTIVATE),
    // Adds a free disk; the metadata of the others is written. A disk that is protected for any
    // other reason lacks the flag, and one of this group is claimed.
    any("vgextend", LVM),
    // Grows after the disk did; shrinking below allocated extents is refused by LVM.
    any("pvresize", LVM),
    // Copies extents by a kernel mirror that survives a crash, then frees the source: both ends
    // are physical volumes of the same group, so both were protected before and stay so.
    any("pvmove", LVM),
    // Waits for a move, merge or conversion that was begun before, and commits it.
    any("lvpoll", LVM),
    // Writes the group's current metadata to volumes that missed an update.
    any("vgck", LVM),
    // Takes empty physical volumes out of the group; LVM refuses any other without `--force`.
    with_options("vgreduce", LVM, &[COMMON_OPTIONS, VGREDUCE_OPTIONS]),
    // Rebuilds a RAID volume's missing or given part on another disk.
    with_options("lvconvert", LVM, &[COMMON_OPTIONS, LVCONVERT_OPTIONS]),
    // Only volumes that are free, by their exact names, with harmless options.
    of_free("lvremove", LVM, &[COMMON_OPTIONS, LVREMOVE_OPTIONS]),
];

/// What every LVM command understands and no command does more for (lvm(8)).
const COMMON_OPTIONS: &[&str] = &[
    "-y",
    "--yes",
    "-v",
    "-vv",
    "-vvv",
    "-vvvv",
    "--verbose",
    "-d",
    "--debug",
    "-q",
    "-qq",
    "--quiet",
    "-t",
    "--test",
    "--noudevsync",
    "--nohints",
    "--nolocking",
];

/// What `lvchange` and `vgchange` have in common, without what a running server would feel or the
/// next boot would miss: `--setautoactivation`, `--uuid`, `--systemid`, `--locktype` (lvchange(8),
/// vgchange(8)).
const CHANGE_OPTIONS: &[&str] = &[
    "-a",
    "-ay",
    "-aay",
    "-aey",
    "-asy",
    "-aly",
    "-an",
    "-aln",
    "-aen",
    "--activate",
    "--activate=",
    "--available",
    "--available=",
    "--activationmode",
    "--activationmode=",
    "--autoactivation",
    "--autoactivation=",
    "-K",
    "-Ky",
    "--ignoreactivationskip",
    "-P",
    "--partial",
    "--refresh",
    "--sysinit",
    "--addtag",
    "--addtag=",
    "--deltag",
    "--deltag=",
    "--monitor",
    "--monitor=",
    "--ignoremonitoring",
    "--poll",
    "--poll=",
    "-A",
    "-Ay",
    "-An",
    "--autobackup",
    "--autobackup=",
    "--alloc",
    "--alloc=",
    "--profile",
    "--profile=",
    "--metadataprofile",
    "--metadataprofile=",
    "--detachprofile",
    "--commandprofile",
    "--commandprofile=",
    "--setautoactivation=y",
    "-S",
    "--select",
    "--select=",
    "--config",
    "--config=",
    "--devices",
    "--devices=",
    "--devicesfile",
    "--devicesfile=",
    "--driverloaded",
    "--driverloaded=",
    "--journal",
    "--journal=",
    "--lockopt",
    "--lockopt=",
    "--ignorelockingfailure",
    "--ignoreskippedcluster",
    "--reportformat",
    "--reportformat=",
];

/// What `lvchange` alone understands, without `--permission r`, which stops a server's writes,
/// without `--resync`, and without numbers of device nodes.
const LVCHANGE_OPTIONS: &[&str] = &[
    "-prw",
    "--permission=rw",
    "-kn",
    "--setactivationskip=n",
    "-C",
    "-Cy",
    "-Cn",
    "--contiguous",
    "--contiguous=",
    "-r",
    "--readahead",
    "--readahead=",
    "-Z",
    "-Zy",
    "-Zn",
    "--zero",
    "--zero=",
    "--discards",
    "--discards=",
    "--errorwhenfull",
    "--errorwhenfull=",
    "--syncaction",
    "--syncaction=",
    "--rebuild",
    "--rebuild=",
    "--writemostly",
    "--writemostly=",
    "--raidwritemostly",
    "--raidwritemostly=",
    "--writebehind",
    "--writebehind=",
    "--raidwritebehind",
    "--raidwritebehind=",
    "--minrecoveryrate",
    "--minrecoveryrate=",
    "--raidminrecoveryrate",
    "--raidminrecoveryrate=",
    "--maxrecoveryrate",
    "--maxrecoveryrate=",
    "--raidmaxrecoveryrate",
    "--raidmaxrecoveryrate=",
    "--cachemode",
    "--cachemode=",
    "--cachepolicy",
    "--cachepolicy=",
    "--cachesettings",
    "--cachesettings=",
    "--compression",
    "--compression=",
    "--deduplication",
    "--deduplication=",
    "--vdosettings",
    "--vdosettings=",
];

/// What `vgchange` alone understands. Its `-p` is no permission but a number of disks.
const VGCHANGE_OPTIONS: &[&str] = &[
    "-l",
    "--logicalvolume",
    "--logicalvolume=",
    "-p",
    "--maxphysicalvolumes",
    "--maxphysicalvolumes=",
    "-s",
    "--physicalextentsize",
    "--physicalextentsize=",
    "-x",
    "-xy",
    "-xn",
    "--resizeable",
    "--resizeable=",
    "--metadatacopies",
    "--metadatacopies=",
    "--vgmetadatacopies",
    "--vgmetadatacopies=",
    "--pvmetadatacopies",
    "--pvmetadatacopies=",
    "--lockstart",
    "--lock-start",
];

/// Options of `vgreduce` that touch no volume; `-f` is not among them.
const VGREDUCE_OPTIONS: &[&str] = &["-a", "--all", "--removemissing"];

/// Options of `lvconvert` that mend a RAID volume. Which disks it names does not matter: LVM takes
/// new space from free extents of the same group.
const LVCONVERT_OPTIONS: &[&str] = &[
    "--repair",
    "--replace",
    "--use-policies",
    "-b",
    "--background",
    // Written back first; with a cache that is missing, only by force.
    "--uncache",
    "--splitcache",
];

/// Options of `lvremove` that change nothing about what is removed. Those that take a value
/// (`--select`, `--config`, `--devices`) are not among them.
const LVREMOVE_OPTIONS: &[&str] = &["-f", "--force", "-fy", "-yf", "--nohistory"];

/// Options that mean nothing by themselves, wherever they stand: before a verb too, when it is not
/// known yet what it puts up with.
pub(super) const BEFORE_VERBS: &[&str] = &[
    "-",
    "-q",
    "--quiet",
    "--batch-mode",
    "-v",
    "--verbose",
    "--debug",
    "-d",
    "--key-file",
    "--key-file=",
    "--type",
    "--type=",
];

/// Verbs of `pdata_tools` (thin-provisioning-tools): LVM runs these checks when it activates a
/// pool, with `--clear-needs-check-flag`, which writes. `thin_restore`, `thin_repair` and the
/// other writers are not granted.
pub(super) const POOL_VERBS: &[Verb] = &[
    any("thin_check", tool_grant::LVM),
    any("cache_check", tool_grant::LVM),
];

/// Verbs of `cryptsetup`. Key slots are read and written through a device-mapper node that was
/// just made; a LUKS device is opened for writing to be unlocked. Formatting, erasing and
/// reencryption are not granted on a protected device; on a free one they need no more than the
/// temporary node. (The verb may stand anywhere, as in `cryptsetup --type luks open`; what merely
/// has such a name is taken for it, and the grant then reaches LUKS devices alone.)
pub(super) const CRYPTSETUP_VERBS: &[Verb] = &[
    any("open", tool_grant::UNLOCK | tool_grant::NEW_DM),
    any("luksOpen", tool_grant::UNLOCK | tool_grant::NEW_DM),
    any("luksFormat", tool_grant::NEW_DM),
    // Writes a slot that is free; where none is, it says so and ends.
    any("luksAddKey", tool_grant::UNLOCK | tool_grant::NEW_DM),
    // Takes away the mapping of a device that nobody uses, or gives it its key back.
    with_options("close", tool_grant::KEEP_DM, &[CRYPTSETUP_OPTIONS]),
    with_options("luksClose", tool_grant::KEEP_DM, &[CRYPTSETUP_OPTIONS]),
    any("luksResume", tool_grant::KEEP_DM),
    // The table of an open device is loaded again, after the volume below has grown or to change
    // how it works. The device is opened for writing, to learn its size.
    with_options("resize", REOPEN, &[CRYPTSETUP_OPTIONS]),
    any("refresh", REOPEN),
    never("erase"),
    never("luksErase"),
    never("luksKillSlot"),
    never("luksRemoveKey"),
    never("luksHeaderRestore"),
    never("luksConvertKey"),
    never("convert"),
    never("reencrypt"),
];

/// Options of `cryptsetup` that say how to find a key, and how much to tell. Not `--deferred`, which
/// takes a mapping away once its user lets go of it for a moment, nor a size, which can be a smaller
/// one (cryptsetup-close(8), cryptsetup-resize(8)).
const CRYPTSETUP_OPTIONS: &[&str] = &[
    "-",
    "-q",
    "--batch-mode",
    "-v",
    "--verbose",
    "--debug",
    "--cancel-deferred",
    "-y",
    "--verify-passphrase",
    "-T",
    "--tries",
    "--tries=",
    "-t",
    "--timeout",
    "--timeout=",
    "-d",
    "--key-file",
    "--key-file=",
    "-l",
    "--keyfile-size",
    "--keyfile-size=",
    "--keyfile-offset",
    "--keyfile-offset=",
    "-S",
    "--key-slot",
    "--key-slot=",
    "--header",
    "--header=",
    "--token-id",
    "--token-id=",
    "--token-only",
    "--token-type",
    "--token-type=",
    "--disable-external-tokens",
    "--disable-keyring",
    "--disable-locks",
    "-M",
    "--type",
    "--type=",
];

/// Verbs of `systemd-cryptsetup`, which unlocks at boot.
pub(super) const SYSTEMD_CRYPTSETUP_VERBS: &[Verb] = &[
    any("attach", tool_grant::UNLOCK | tool_grant::NEW_DM),
    any("detach", tool_grant::KEEP_DM),
];

/// `e2fsck -p` ("preen"): what systemd-fsck runs at boot. It repairs what is safe without asking
/// and stops at anything else; it refuses `-p` together with `-y`.
pub(super) const E2FSCK_VERBS: &[Verb] = &[
    any("-p", tool_grant::PREEN),
    any("-a", tool_grant::PREEN),
    any("-pf", tool_grant::PREEN),
    any("-fp", tool_grant::PREEN),
];

/// `tune2fs -C 0 -T now`: how often a file system was mounted and when it was checked, which e2scrub
/// notes every week. No other option beside them.
pub(super) const TUNE2FS_VERBS: &[Verb] = &[
    with_options("-C", tool_grant::EXT_ONLINE, &[TUNE2FS_OPTIONS]),
    with_options("-T", tool_grant::EXT_ONLINE, &[TUNE2FS_OPTIONS]),
];

const TUNE2FS_OPTIONS: &[&str] = &["-C", "-T"];

/// `fsck.fat -a`, the same for EFI system partitions.
pub(super) const FSCK_FAT_VERBS: &[Verb] =
    &[any("-a", tool_grant::PREEN), any("-p", tool_grant::PREEN)];

/// Arguments of `mdadm`: those that put an array together from its own members, one disk at a time or
/// all, or move a spare to where it is needed; those that replace a member; and growing. `--create`
/// and `--build` are none of them; mdadm takes no two modes at once (mdadm.c, "would set mdadm mode
/// to"). Which letters of two modes are the same does not matter: what they let it do is the same.
pub(super) const MDADM_VERBS: &[Verb] = &[
    any("--assemble", ASSEMBLE),
    any("-A", ASSEMBLE),
    any("-As", ASSEMBLE),
    any("-AR", ASSEMBLE),
    any("-AsR", ASSEMBLE),
    any("-ARs", ASSEMBLE),
    any("--incremental", ASSEMBLE),
    any("-I", ASSEMBLE),
    any("-Iq", ASSEMBLE),
    any("-If", ASSEMBLE),
    any("-IR", ASSEMBLE),
    any("-IRs", ASSEMBLE),
    any("-IRsq", ASSEMBLE),
    any("--re-add", ASSEMBLE),
    any("--monitor", ASSEMBLE),
    any("--follow", ASSEMBLE),
    any("-F", ASSEMBLE),
    any("--add", tool_grant::MD_KEEP),
    any("--add-spare", tool_grant::MD_KEEP),
    any("-a", tool_grant::MD_KEEP),
    any("--fail", tool_grant::MD_KEEP),
    any("--set-faulty", tool_grant::MD_KEEP),
    any("-f", tool_grant::MD_KEEP),
    any("--remove", tool_grant::MD_KEEP),
    any("-r", tool_grant::MD_KEEP),
    any("--replace", tool_grant::MD_KEEP),
    any("--readwrite", tool_grant::MD_KEEP),
    any("-w", tool_grant::MD_KEEP),
    any("--wait", tool_grant::MD_KEEP),
    any("-W", tool_grant::MD_KEEP),
    any("--wait-clean", tool_grant::MD_KEEP),
    // Growing: a size alone could be a smaller one, so it has to be the largest there is. Fewer
    // members are refused by MD itself while the array needs them or its size does
    // (drivers/md/raid1.c `raid1_reshape`, raid5.c `check_reshape`), and the size cannot be cut:
    // `--array-size`, `--level`, `--layout`, `--chunk` and `--force` are not listed.
    with_options("--grow", GROW, &[GROW_OPTIONS]),
    with_options("-G", GROW, &[GROW_OPTIONS]),
];

const ASSEMBLE: u32 = tool_grant::STACK | tool_grant::MD_KEEP;

/// A bitmap is written to each member.
const GROW: u32 = tool_grant::MD_KEEP | tool_grant::MD_GROW | tool_grant::MD_MEMBER;

/// Options of `mdadm --grow` that take nothing away (mdadm(8)).
const GROW_OPTIONS: &[&str] = &[
    "-q",
    "--quiet",
    "-v",
    "--verbose",
    "--size=max",
    "-zmax",
    "-n",
    "-n2",
    "-n3",
    "-n4",
    "--raid-devices",
    "--raid-devices=",
    "-b",
    "-binternal",
    "-bnone",
    "--bitmap",
    "--bitmap=internal",
    "--bitmap=none",
    "--continue",
];

/// Verbs of `zpool` that have the module open a pool's disks and write no label of their own.
/// `create`, `add`, `attach`, `replace`, `split`, `labelclear` and `destroy` are none of them.
pub(super) const ZPOOL_VERBS: &[Verb] = &[
    any("import", tool_grant::STACK),
    any("online", tool_grant::STACK),
    any("clear", tool_grant::STACK),
    any("reopen", tool_grant::STACK),
    any("scrub", tool_grant::STACK),
    any("resilver", tool_grant::STACK),
    any("trim", tool_grant::STACK),
    any("list", tool_grant::STACK),
    any("status", tool_grant::STACK),
    any("iostat", tool_grant::STACK),
    any("events", tool_grant::STACK),
    any("history", tool_grant::STACK),
    any("get", tool_grant::STACK),
    any("set", tool_grant::STACK),
    any("export", tool_grant::STACK),
    any("wait", tool_grant::STACK),
];

/// Verbs of `integritysetup` and `systemd-integritysetup`: the table over a device that has been
/// formatted before.
pub(super) const INTEGRITY_VERBS: &[Verb] = &[
    any("open", tool_grant::STACK),
    any("attach", tool_grant::STACK),
];
