//! dbguard's user half: the controller that knows the host, and the command line.

pub mod audit;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod grant;
pub mod host;
pub mod kernel;
pub mod notify;
pub mod places;
pub mod session;
pub mod standing;
pub mod state;
pub mod sysexits;
pub mod topology;
