//! What the guard does not do, why, and what measures it again.

/// A limitation.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Its name.
    pub id: &'static str,
    /// What is not so.
    pub what: &'static str,
    /// Why it is left so.
    pub reason: &'static str,
    /// What shows that it still is so, or how large it is.
    pub measured: Measured,
}

/// What measures a limitation.
#[derive(Clone, Copy, Debug)]
pub enum Measured {
    /// These tests.
    By(&'static [&'static str]),
    /// Nothing, and why.
    Not(&'static str),
}

const fn limit(
    id: &'static str,
    what: &'static str,
    reason: &'static str,
    measured: Measured,
) -> Limit {
    Limit {
        id,
        what,
        reason,
        measured,
    }
}

/// All of them.
#[rustfmt::skip]
pub const LIMITS: &[Limit] = &[
    limit("X1", "A program that modifies the return value (the route without BPF LSM) is skipped where it was preempted inside itself on the same processor",
        "the kernel guards such programs against recursion (kernel/bpf/trampoline.c `__bpf_prog_enter_recur`), and skipping lets the operation pass; opens of block devices are the second layer's too, which is not skipped, and `status` counts the others",
        Measured::By(&["route::preempted"])),
    limit("X2", "Arguments are read twice: a program that swaps the bytes of an SG_IO or NVMe command between the two passes",
        "hooks run before the driver copies the argument; a program must be written for this",
        Measured::Not("a race of some hundred nanoseconds, won only on purpose")),
    limit("X3", "A BMC, hypervisor, storage array or cloud that is told over the network to wipe or reinstall the host",
        "nothing of it passes this kernel; the orchestrator must ask `dbguard check` first",
        Measured::Not("outside of the machine")),
    limit("X4", "A machine that boots something else, and the time before the controller has loaded the kernel half",
        "what is not running cannot refuse; the unit is ordered before database servers",
        Measured::By(&["hoststate::reboot-comes-back-held", "hoststate::first-instruction"])),
    limit("X5", "Code that already runs in the kernel, or exploits it",
        "it can do what the kernel can; the guard is against mistakes",
        Measured::Not("by definition")),
    limit("X6", "Of what was opened before the host was armed: a write that was under way, pages that were dirtied, and stores to a shared mapping until its process is stopped",
        "reads and writes carry a hook only while such a descriptor lives, and a store has none",
        Measured::By(&["descriptors::armed-without-a-window", "descriptors::mapped"])),
    limit("X7", "A new device, and one that has just left a use which the kernel does not claim (a boot partition, a volume group, what lay below a loop device), is still refused for some milliseconds",
        "the controller looks first; the next try succeeds. What was mounted, swapped to, in an array or below a mapping is free with its last claim",
        Measured::By(&["storm::devices-are-followed-meanwhile", "controller::frozen-controller-*"])),
    limit("X8", "LVM, multipath, `cryptsetup open` and `mdadm --incremental` may lay a device over a protected one",
        "the host is put together by them; what they make is unknown until it is classified, and unknown is refused to others",
        Measured::By(&["layer2::work-activate-volumes", "layer2::work-unlock", "layer2::work-partitions-of-a-path", "layer2::work-assemble"])),
    limit("X9", "A protected device may be mounted, writable and by whichever program, with whatever else the mount opens, such as an external journal",
        "failover mounts; the kernel opens the device, and the system call alone tells what for",
        Measured::By(&["layer2::work-mount*", "hoststate::stop-and-unmount-stays-held"])),
    limit("X10", "Tools that open a disk for writing merely to print its table are refused, and say so",
        "what an open will be used for cannot be known; their answer is right all the same",
        Measured::By(&["legitimate::tables-printed-by-writers"])),
    limit("X11", "Servers are recognised by the names and identities of their executables",
        "a database under another name must be named in the configuration or marked",
        Measured::By(&["hoststate::raw-engine", "hoststate::probes-do-not-arm"])),
    limit("X12", "Files are not guarded: rm -rf of a data directory, DROP DATABASE",
        "backups and database permissions are for that",
        Measured::Not("a non-goal")),
    limit("X13", "More refusals at once than the ring between kernel and controller holds are counted, and not told one by one",
        "the ring has a size; the log says how many were lost, and when",
        Measured::By(&["storm::counted-exactly"])),
    limit("X14", "`mount --move` of a relative path is refused whatever it names, and of another spelling of a path (through a symbolic link) it is not known what it names",
        "mount(2) gives the kernel half the source as text; the newer call gives the directory itself",
        Measured::By(&["mounts::moved-by-relative-path"])),
    limit("X15", "Where data is mounted is guarded in the host's mount namespace, and while the server runs",
        "units and containers cover the same directories in theirs, and failover needs the rest; the devices stay protected",
        Measured::By(&["mounts::own-namespace", "mounts::container-pivots", "mounts::confined-unit", "mounts::failover"])),
    limit("X16", "Boot files are guarded by who writes them, not by what is written: a package, or `update-grub` after an edit of its settings, may write anything",
        "an upgrade and an installer write the same files; both are recorded",
        Measured::By(&["boot::package-upgraded", "boot::files-beside", "boot::update-grub"])),
    limit("X17", "On an idle host the guard itself can be taken away, and trampolines switched off; with these off the second layer alone refuses",
        "an idle host refuses nothing; the second layer has opens of block devices, not commands, files or mounts",
        Measured::By(&["layer2::without-trampolines", "hoststate::idle-refuses-nothing"])),
    limit("X18", "The controller can be ended by process 1 and by the kernel's own signals",
        "systemd restarts services, and nothing that is refused depends on the controller",
        Measured::By(&["controller::killed-*", "controller::frozen-*"])),
    limit("X19", "On Linux before 5.13 reads and writes go on carrying a hook once a descriptor from before has been found",
        "a tracing program can be attached only once there, so that it stays",
        Measured::By(&["descriptors::let-go"])),
    limit("X20", "What F2FS and JFS keep on other devices than the one that is mounted",
        "neither the mount table nor sysfs names those; ext's journals, XFS's logs and realtime volumes, btrfs, bcachefs and ZFS are known. Mark them: `dbguard mark --device`",
        Measured::Not("the guests' kernels have neither")),
    limit("X21", "In a volume group that is in use LVM does to free volumes what it does to others: lvrename, lvreduce, lvconvert and lvresize are refused",
        "the physical volume is written, and which volume a word of the command line means is LVM's to know; lvremove of free volumes and lvextend work. Instead of lvresize with a plus: lvextend",
        Measured::By(&["lvreduce", "lvresize-shrink"])),
    limit("X22", "A remount by fsconfig(2) or mount_setattr(2) is not judged: made read-only, or told to abort",
        "these calls ask no hook that the guard is attached to; what mount(8) does up to util-linux 2.38 is mount(2)",
        Measured::By(&["mounts::read-only-is-recorded", "mounts::aborted"])),
    limit("X23", "What a daemon with a grant does for whoever asks it by its socket: multipathd told to suspend a map, to fail or drop its paths",
        "it does the same by itself when a path fails, and the kernel is told no more than who the daemon is",
        Measured::Not("the guests have no multipath device")),
    limit("X24", "A LUKS header in a file",
        "nothing names the file once the mapping is there; a header on a device of its own is found by its UUID",
        Measured::Not("nothing is done about files, see E5")),
];
