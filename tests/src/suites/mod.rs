//! One property a file. The order is the order of a whole run in one guest: what needs a healthy,
//! armed host comes first, what stops the database comes last.

pub mod boot;
pub mod controller;
pub mod descriptors;
pub mod destruction;
pub mod firmware;
pub mod fixture;
pub mod guard_itself;
pub mod hoststate;
pub mod identity;
pub mod layer2;
pub mod legitimate;
pub mod live;
pub mod machine;
pub mod mounts;
pub mod observe;
pub mod overrides;
pub mod route;
mod signing;
pub mod storage;
pub mod storm;
pub mod zones;

use crate::harness::case::{Machine, Suite};

/// Every suite.
pub const ALL: &[Suite] = &[
    Suite {
        name: "legitimate",
        about: "what a live database host needs is done while armed, without a refusal",
        seconds: (65, 60),
        machine: Machine::Server,
        cases: legitimate::cases,
    },
    Suite {
        name: "boot",
        about: "boot files are changed by package managers and generators alone",
        seconds: (45, 160),
        machine: Machine::Server,
        cases: boot::cases,
    },
    Suite {
        name: "mounts",
        about: "the data of a running database stays mounted where it is",
        seconds: (25, 45),
        machine: Machine::Server,
        cases: mounts::cases,
    },
    Suite {
        name: "storage",
        about: "volumes, arrays and disks are grown, replaced and prepared while armed",
        seconds: (30, 70),
        machine: Machine::Server,
        cases: storage::cases,
    },
    Suite {
        name: "live",
        about: "the disk of the running database: no act changes it, the server answers",
        seconds: (20, 10),
        machine: Machine::Server,
        cases: live::cases,
    },
    Suite {
        name: "destruction-scsi",
        about: "a protected SCSI disk: every writer, maker, discard, stack, namespace, passthrough",
        seconds: (30, 130),
        machine: Machine::Server,
        cases: destruction::scsi_disk,
    },
    Suite {
        name: "destruction-table",
        about: "a protected disk with a partition table and seven kinds of content",
        seconds: (0, 100),
        machine: Machine::Server,
        cases: destruction::table,
    },
    Suite {
        name: "destruction-nvme",
        about: "a protected NVMe disk: writers and passthrough",
        seconds: (18, 25),
        machine: Machine::Server,
        cases: destruction::nvme_disk,
    },
    Suite {
        name: "destruction-virtio",
        about: "a protected virtio disk",
        seconds: (0, 20),
        machine: Machine::Server,
        cases: destruction::virtio_disk,
    },
    Suite {
        name: "destruction-zones",
        about: "a protected zoned disk",
        seconds: (4, 0),
        machine: Machine::Server,
        cases: zones::cases,
    },
    Suite {
        name: "identity",
        about: "data by another name is guarded, and what only looks like it is free",
        seconds: (20, 0),
        machine: Machine::Server,
        cases: identity::cases,
    },
    Suite {
        name: "destruction-volume",
        about: "a physical volume below a mounted logical volume, and that volume",
        seconds: (18, 8),
        machine: Machine::Server,
        cases: destruction::volume,
    },
    Suite {
        name: "destruction-array",
        about: "a member of a mounted array, and the array",
        seconds: (19, 8),
        machine: Machine::Server,
        cases: destruction::array,
    },
    Suite {
        name: "destruction-beside",
        about: "a journal, a log and a realtime volume on disks of their own",
        seconds: (15, 10),
        machine: Machine::Server,
        cases: destruction::beside,
    },
    Suite {
        name: "observe",
        about: "one operation class at a time is let through and recorded, the others are refused",
        seconds: (15, 15),
        machine: Machine::Server,
        cases: observe::cases,
    },
    Suite {
        name: "machine",
        about: "the running machine is not stopped, replaced or cut off from its disks",
        seconds: (40, 20),
        machine: Machine::Server,
        cases: machine::cases,
    },
    Suite {
        name: "firmware",
        about: "nobody but a package manager touches boot entries, and nobody has the BMC cut the power",
        seconds: (45, 0),
        machine: Machine::Boot,
        cases: firmware::cases,
    },
    Suite {
        name: "guard-itself",
        about: "nothing takes the guard away from an armed host; looking at it, tracing beside it and upgrading it work",
        seconds: (45, 25),
        machine: Machine::Server,
        cases: guard_itself::cases,
    },
    Suite {
        name: "layer2",
        about: "what has the kernel open a protected device, with and without trampolines",
        seconds: (50, 60),
        machine: Machine::Server,
        cases: layer2::cases,
    },
    Suite {
        name: "route",
        about: "how the guard is attached, proved hook by hook, and what a preempted run costs",
        seconds: (10, 10),
        machine: Machine::Server,
        cases: route::cases,
    },
    Suite {
        name: "controller",
        about: "a controller killed again and again opens no gap and loses no record",
        seconds: (35, 120),
        machine: Machine::Server,
        cases: controller::cases,
    },
    Suite {
        name: "storm",
        about: "thousands of refusals are counted exactly",
        seconds: (8, 35),
        machine: Machine::Server,
        cases: storm::cases,
    },
    Suite {
        name: "overrides",
        about: "one signed act on one object for one command, and nothing beside it",
        seconds: (45, 75),
        machine: Machine::Server,
        cases: overrides::cases,
    },
    Suite {
        name: "descriptors",
        about: "devices held open from before: no write, a record, and no cost once they are gone",
        seconds: (30, 30),
        machine: Machine::Server,
        cases: descriptors::cases,
    },
    Suite {
        name: "hoststate",
        about: "idle, armed, held and back, each only by what may cause it",
        seconds: (48, 120),
        machine: Machine::Server,
        cases: hoststate::cases,
    },
];
