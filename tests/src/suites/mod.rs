//! One property a file. The order is the order of a whole run in one guest: what needs a healthy,
//! armed host comes first, what stops the database comes last.

pub mod controller;
pub mod destruction;
pub mod fixture;
pub mod hoststate;
pub mod legitimate;
pub mod live;
pub mod observe;
pub mod storage;
pub mod storm;

use crate::harness::case::Suite;

/// Every suite.
pub fn all() -> Vec<Suite> {
    vec![
        Suite {
            name: "legitimate",
            about: "what a live database host needs is done while armed, without a refusal",
            cases: legitimate::cases,
        },
        Suite {
            name: "storage",
            about: "volumes, arrays and disks are grown, replaced and prepared while armed",
            cases: storage::cases,
        },
        Suite {
            name: "live",
            about: "the disk of the running database: no act changes it, the server answers",
            cases: live::cases,
        },
        Suite {
            name: "destruction-scsi",
            about: "a protected SCSI disk: every writer, maker, discard, stack, namespace, passthrough",
            cases: destruction::scsi_disk,
        },
        Suite {
            name: "destruction-table",
            about: "a protected disk with a partition table and seven kinds of content",
            cases: destruction::table,
        },
        Suite {
            name: "destruction-nvme",
            about: "a protected NVMe disk: writers and passthrough",
            cases: destruction::nvme_disk,
        },
        Suite {
            name: "destruction-virtio",
            about: "a protected virtio disk",
            cases: destruction::virtio_disk,
        },
        Suite {
            name: "destruction-volume",
            about: "a physical volume below a mounted logical volume, and that volume",
            cases: destruction::volume,
        },
        Suite {
            name: "destruction-array",
            about: "a member of a mounted array, and the array",
            cases: destruction::array,
        },
        Suite {
            name: "observe",
            about: "one operation class at a time is let through and recorded, the others are refused",
            cases: observe::cases,
        },
        Suite {
            name: "controller",
            about: "a controller killed again and again opens no gap and loses no record",
            cases: controller::cases,
        },
        Suite {
            name: "storm",
            about: "thousands of refusals are counted exactly",
            cases: storm::cases,
        },
        Suite {
            name: "hoststate",
            about: "idle, armed, held and back, each only by what may cause it",
            cases: hoststate::cases,
        },
    ]
}
