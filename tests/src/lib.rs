//! What the guest suites share.
