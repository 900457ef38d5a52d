//! What is covered, by what, and which test performs it: one table, from which docs/coverage.md is
//! made and against which the suites are checked, so that neither can say what the other does not.
//!
//! A row begins as [`Row::not_covered`] with the reason. When its hook and its test are there, that
//! call becomes [`Row::hooks`] and [`Row::tests`].

mod devices;
mod document;
mod limits;
mod machine;
mod suites;
mod work;

pub use document::{PATH, text};
pub use limits::{LIMITS, Limit, Measured};
pub use suites::{APART, KINDS, Kind, Test, matches, tests};
pub use work::{WORK, Work};

/// One way to destroy or take over a host, or to take its guard away.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name: a letter for the kind, and a number.
    pub id: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Tools that do it, as examples.
    pub tools: &'static str,
    /// On which kernels it exists.
    pub exists: &'static str,
    /// What becomes of it where nobody has configured anything.
    pub usual: Usual,
    /// Hooks that see it, by their names in the loader's tables; the second layer by the one that it
    /// has in records, `cgroup_device`.
    pub hooks: &'static [&'static str],
    /// Tests that perform it: acts (`dd`) or cases (`storm::many-*`), `*` standing for anything.
    pub tests: &'static [&'static str],
    /// What is not covered, and why; empty where the row is covered whole.
    pub left: &'static str,
}

/// What becomes of an operation by default.
#[derive(Clone, Copy, Debug)]
pub enum Usual {
    /// Refused while the host is armed or held.
    Refused,
    /// Refused on every device that is not known to be free.
    RefusedOnDevice,
    /// The site may choose: refused unless it says otherwise, and why.
    RefusedByRule(&'static str, &'static str),
    /// The site may choose: let through and recorded, and why.
    RecordedByRule(&'static str, &'static str),
    /// Let through, and why.
    Allowed(&'static str),
}

/// A row that nothing covers yet.
const fn row(
    id: &'static str,
    what: &'static str,
    tools: &'static str,
    exists: &'static str,
    usual: Usual,
) -> Row {
    Row {
        id,
        what,
        tools,
        exists,
        usual,
        hooks: &[],
        tests: &[],
        left: "",
    }
}

impl Row {
    /// Seen by these hooks.
    const fn hooks(mut self, hooks: &'static [&'static str]) -> Self {
        self.hooks = hooks;
        self
    }

    /// Performed by these tests.
    const fn tests(mut self, tests: &'static [&'static str]) -> Self {
        self.tests = tests;
        self
    }

    /// Covered, except for this.
    const fn but(mut self, left: &'static str) -> Self {
        self.left = left;
        self
    }

    /// Not covered, for this reason.
    const fn not_covered(mut self, why: &'static str) -> Self {
        self.left = why;
        self
    }

    /// True where a hook sees it and a test performs it.
    pub const fn is_covered(&self) -> bool {
        !self.tests.is_empty()
    }
}

/// Rows of one kind.
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Rows, in the order of their ids.
    pub rows: &'static [Row],
}

/// Every row.
pub const SECTIONS: &[Section] = &[
    Section {
        title: "A: writing a device",
        rows: devices::WRITES,
    },
    Section {
        title: "B: commands passed to a drive",
        rows: devices::PASSTHROUGH,
    },
    Section {
        title: "C: the kernel's picture of a disk",
        rows: devices::PICTURE,
    },
    Section {
        title: "D: devices laid over devices",
        rows: devices::STACKED,
    },
    Section {
        title: "E: file systems",
        rows: devices::FILE_SYSTEMS,
    },
    Section {
        title: "F: what the machine boots, and when",
        rows: machine::BOOT,
    },
    Section {
        title: "G: devices taken away",
        rows: machine::DETACH,
    },
    Section {
        title: "H: the kernel itself",
        rows: machine::KERNEL,
    },
    Section {
        title: "I: programs by their names",
        rows: machine::PROGRAMS,
    },
    Section {
        title: "S: the guard itself",
        rows: machine::GUARD,
    },
];

#[cfg(test)]
mod tests;
