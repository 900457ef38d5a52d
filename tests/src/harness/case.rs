//! One case: a name, a time limit, and a body that succeeds, fails, or says why it cannot be done.

use std::fmt;
use std::time::Duration;

/// Where a case stands in its suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Makes what the suite needs; runs whenever any test of the suite does. When it fails, the
    /// tests of the suite fail without being performed.
    Prepare,
    /// A test; the filter chooses among these.
    Test,
    /// Puts things back; runs whenever any test of the suite did, whatever its outcome.
    CleanUp,
}

/// On how many of the configurations under test, pairs of kernel and route, a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// On each: the kernel or the route could make a difference. What a case is unless it says
    /// otherwise.
    Every,
    /// On each kernel, by one route: what it is about (servers and tools recognised, devices and claims
    /// followed, the controller's life) hangs on programs that are attached alike on both.
    Kernel,
    /// On one: it is about tools, the controller or the emulated drives, or it takes long.
    Once,
}

impl Breadth {
    /// Of a list whose acts are each tried everywhere on another device or in another state: the
    /// first stands for the others here.
    pub const fn of_sample(at: usize) -> Self {
        if at == 0 { Self::Every } else { Self::Once }
    }
}

/// The body of a case.
pub type Body = Box<dyn FnOnce() -> anyhow::Result<()> + Send>;

/// One case of a suite.
pub struct Case {
    /// Its name within the suite, without spaces.
    pub name: String,
    /// Where it stands.
    pub stage: Stage,
    /// Where it runs. A preparation or clean-up runs wherever a test of its suite does.
    pub breadth: Breadth,
    /// How long it may take; emulated guests are about ten times slower than the machine.
    pub limit: Duration,
    /// What it does.
    pub body: Body,
}

/// Time limit of a case that states none.
pub const DEFAULT_LIMIT: Duration = Duration::from_mins(1);

impl Case {
    /// A test.
    pub fn test(
        name: impl Into<String>,
        body: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        Self::new(name.into(), Stage::Test, Box::new(body))
    }

    /// A preparation.
    pub fn prepare(
        name: impl Into<String>,
        body: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        Self::new(name.into(), Stage::Prepare, Box::new(body)).limit(180)
    }

    /// A clean-up.
    pub fn clean_up(
        name: impl Into<String>,
        body: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        Self::new(name.into(), Stage::CleanUp, Box::new(body)).limit(120)
    }

    fn new(name: String, stage: Stage, body: Body) -> Self {
        debug_assert!(!name.contains(char::is_whitespace), "{name}");
        Self {
            name,
            stage,
            breadth: Breadth::Every,
            limit: DEFAULT_LIMIT,
            body,
        }
    }

    /// The same case, to be run on one configuration.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.breadth = Breadth::Once;
        self
    }

    /// The same case, to be run once on each kernel, unless it is one for a single configuration.
    #[must_use]
    pub fn on_each_kernel(mut self) -> Self {
        if self.breadth == Breadth::Every {
            self.breadth = Breadth::Kernel;
        }
        self
    }

    /// The same case with this breadth.
    #[must_use]
    pub fn breadth(mut self, breadth: Breadth) -> Self {
        self.breadth = breadth;
        self
    }

    /// The same case with a time limit in seconds.
    #[must_use]
    pub fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }
}

/// The guest's kernel lacks what the case is about. Never used for a missing tool: tools are part
/// of the guest's image.
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// The outcome of an act that may not exist here: the skip becomes the case's.
pub fn unless_skipped<T>(outcome: anyhow::Result<T>) -> anyhow::Result<anyhow::Result<T>> {
    match outcome {
        Err(error) if error.is::<Skip>() => Err(error),
        outcome => Ok(outcome),
    }
}

/// An error that makes the case a skip with this exact reason.
pub fn skip(reason: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Skip(reason.into()))
}

/// What a guest must be for a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// BIOS, and the kernel flavour that boots fastest.
    Server,
    /// EFI variables, an EFI system partition in use, a BMC, and the flavour with every driver.
    Boot,
}

/// Named cases in the order they run.
pub struct Suite {
    /// Name on the command line and in front of each case.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// About how many seconds its cases take that run on every configuration, with what prepares
    /// them, and how many more the others. A run says what they took; guests are balanced by this.
    pub seconds: (u32, u32),
    /// Where it runs.
    pub machine: Machine,
    /// Makes the cases; must touch nothing, since listing calls it too.
    pub cases: fn() -> Vec<Case>,
}
