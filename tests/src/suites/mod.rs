//! One property a file. The order is the order of a whole run in one guest: what needs a healthy,
//! armed host comes first, what stops the database comes last.

pub mod controller;
pub mod destruction;
pub mod fixture;
pub mod hoststate;
pub mod legitimate;
pub mod live;
pub mod observe;
pub mod route;
pub mod storage;
pub mod storm;

use crate::harness::case::{Machine, Suite};

/// Every suite.
pub fn all() -> Vec<Suite> {
    vec![
        Suite {
            name: "legitimate",
            about: "what a live database host needs is done while armed, without a refusal",
            seconds: (110, 110),
            machine: Machine::Server,
            cases: legitimate::cases,
        },
        Suite {
            name: "storage",
            about: "volumes, arrays and disks are grown, replaced and prepared while armed",
            seconds: (70, 130),
            machine: Machine::Server,
            cases: storage::cases,
        },
        Suite {
            name: "live",
            about: "the disk of the running database: no act changes it, the server answers",
            seconds: (50, 15),
            machine: Machine::Server,
            cases: live::cases,
        },
        Suite {
            name: "destruction-scsi",
            about: "a protected SCSI disk: every writer, maker, discard, stack, namespace, passthrough",
            seconds: (55, 260),
            machine: Machine::Server,
            cases: destruction::scsi_disk,
        },
        Suite {
            name: "destruction-table",
            about: "a protected disk with a partition table and seven kinds of content",
            seconds: (0, 180),
            machine: Machine::Server,
            cases: destruction::table,
        },
        Suite {
            name: "destruction-nvme",
            about: "a protected NVMe disk: writers and passthrough",
            seconds: (25, 45),
            machine: Machine::Server,
            cases: destruction::nvme_disk,
        },
        Suite {
            name: "destruction-virtio",
            about: "a protected virtio disk",
            seconds: (12, 10),
            machine: Machine::Server,
            cases: destruction::virtio_disk,
        },
        Suite {
            name: "destruction-volume",
            about: "a physical volume below a mounted logical volume, and that volume",
            seconds: (20, 10),
            machine: Machine::Server,
            cases: destruction::volume,
        },
        Suite {
            name: "destruction-array",
            about: "a member of a mounted array, and the array",
            seconds: (20, 10),
            machine: Machine::Server,
            cases: destruction::array,
        },
        Suite {
            name: "observe",
            about: "one operation class at a time is let through and recorded, the others are refused",
            seconds: (60, 0),
            machine: Machine::Server,
            cases: observe::cases,
        },
        Suite {
            name: "route",
            about: "how the guard is attached, proved hook by hook, and what a preempted run costs",
            seconds: (20, 20),
            machine: Machine::Server,
            cases: route::cases,
        },
        Suite {
            name: "controller",
            about: "a controller killed again and again opens no gap and loses no record",
            seconds: (60, 210),
            machine: Machine::Server,
            cases: controller::cases,
        },
        Suite {
            name: "storm",
            about: "thousands of refusals are counted exactly",
            seconds: (30, 70),
            machine: Machine::Server,
            cases: storm::cases,
        },
        Suite {
            name: "hoststate",
            about: "idle, armed, held and back, each only by what may cause it",
            seconds: (120, 200),
            machine: Machine::Server,
            cases: hoststate::cases,
        },
    ]
}
