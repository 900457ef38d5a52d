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
        "the kernel guards such programs against recursion (kernel/bpf/trampoline.c `__bpf_prog_enter_recur`), and skipping lets the operation pass",
        Measured::Not("no stress test yet")),
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
    limit("X6", "Writes through a descriptor, and stores to a mapping, from before the host was armed",
        "reads and writes carry no hook, so that they cost nothing; commands through such descriptors are judged",
        Measured::By(&["observe::class-discard"])),
    limit("X7", "A device that has just left use is still refused for some milliseconds",
        "the controller looks again first; the next try succeeds",
        Measured::By(&["storm::devices-are-followed-meanwhile", "controller::frozen-controller-and-a-new-disk"])),
    limit("X8", "A table of device-mapper may be loaded over a protected device",
        "what it makes is unknown until it is classified, and unknown is refused",
        Measured::By(&["dm-linear*"])),
    limit("X9", "Opens by the kernel itself are not seen: mounts, exports, bcache registration",
        "no hook is asked; the cgroup device layer is to see them",
        Measured::Not("the second layer is not part of this version")),
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
];
