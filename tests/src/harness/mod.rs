//! Cases, disks, the audit log, the database: what every suite works with.

pub mod audit;
pub mod case;
pub mod db;
pub mod disk;
pub mod guard;
pub mod image;
mod question;
pub mod run;
pub mod shell;
pub mod snapshot;
