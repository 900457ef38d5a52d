//! Devices and their uses, read from the host, judged, and told to the kernel half.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use guard_abi::{ArmWord, DeviceEntry, DeviceKey, Engine, Policy, TaskEntry};

use super::{Daemon, WARNING, log};
use crate::audit::time;
use crate::host;
use crate::kernel;
use crate::places;
use crate::topology::{
    Changes, Classification, Inventory, MARKED, MountTable, RawUse, Roots, Scope, TopologyError,
    Uses, classify, kernel_dev,
};

/// A survey of more devices than this uses megabytes: they are not kept, and all read each time.
const MANY: usize = 500;
/// After surveys of what changed alone all devices are read once, because some changes have no
/// event: when nothing has changed for so long, since it delays what happens meanwhile,
const QUIET: Duration = Duration::from_secs(5);
/// and so long after the first of them at the latest.
const LATEST: Duration = Duration::from_mins(1);
/// Devices that keep changing while they are read are judged as they were seen last.
const ATTEMPTS: usize = 4;

/// So long after devices or mounts have changed the places are looked for again.
const PLACES_WAIT: Duration = Duration::from_millis(1_500);

/// What went wrong with a survey.
#[derive(Debug, thiserror::Error)]
enum SurveyError {
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error(transparent)]
    Kernel(#[from] kernel::GuardError),
}

impl Daemon {
    /// Follows a change: now, or together with what else changes in this moment.
    pub(super) fn something_changed(&mut self, changes: Changes, why: &str) {
        self.news.extend(changes);
        let now = Instant::now();
        match self.pace.wait(now) {
            Some(wait) => {
                self.due.survey.get_or_insert(now + wait);
            }
            None => self.survey(why),
        }
    }

    /// Reads, judges, tells. Where that fails, what was told before stays.
    pub(super) fn survey(&mut self, why: &str) {
        let begun = Instant::now();
        self.due.survey = None;
        let outcome = self.try_survey();
        let problem = outcome
            .as_ref()
            .err()
            .map(|error| format!("{error}; devices stay classified as they were before ({why})"));
        self.set_health("classification", problem);
        if self.surveyed.devices.len() > MANY {
            super::give_back_memory();
        }
        let now = Instant::now();
        self.pace.spend(now, now - begun);
        if let Ok(true) = outcome {
            self.due.survey = Some(now + self.pace.wait(now).unwrap_or_default());
        }
    }

    /// True where devices have changed again meanwhile.
    fn try_survey(&mut self) -> Result<bool, SurveyError> {
        let mut generation = self.guard.arm_word(ArmWord::DeviceGen)?;
        for _ in 1..ATTEMPTS {
            let begun = time::monotonic_ns();
            let classification = self.judge()?;
            let after = self.guard.arm_word(ArmWord::DeviceGen)?;
            if after == generation {
                self.tell_kernel(classification)?;
                self.guard.forget_unclaimed(begun)?;
                return Ok(self.guard.arm_word(ArmWord::DeviceGen)? != generation);
            }
            generation = after;
        }
        let classification = self.judge()?;
        self.tell_kernel(classification)?;
        Ok(true)
    }

    fn judge(&mut self) -> Result<Classification, TopologyError> {
        let mut inventory = self.read_devices()?;
        if self.state.memory_lost {
            inventory.forget_inactive_volumes();
        }
        let mut uses = Uses::of_host(&self.roots, &inventory)?;
        for process in &self.processes {
            uses.add_process(process);
        }
        for path in self
            .config
            .data_directories
            .iter()
            .chain(&self.state.marks.data)
        {
            uses.add_marked_path(&self.roots, path);
        }
        for path in self
            .config
            .raw_devices
            .iter()
            .chain(&self.state.marks.devices)
        {
            if let Some(dev) = block_device(path) {
                let name = MARKED.to_owned();
                uses.raw.push(RawUse {
                    dev,
                    engine: Engine::Custom,
                    name,
                    pid: None,
                });
            }
        }
        if self.state.memory_lost && !self.memory_rebuilt {
            let all = inventory.identities(Scope::Content);
            // Empty loop devices and card readers carry nothing.
            let all =
                all.into_iter()
                    .filter(|identity| identity.sectors > 0)
                    .map(|mut identity| {
                        "may have carried data: the state file was lost"
                            .clone_into(&mut identity.why);
                        identity
                    });
            self.remember(all.collect());
            self.memory_rebuilt = true;
        }
        let classification = classify(&inventory, &uses, &self.state.memory);
        self.overrides.find_objects(&inventory);
        self.inventory = (inventory.devices().len() <= MANY).then_some(inventory);
        Ok(classification)
    }

    /// The devices as they were read last; read anew where there are too many to keep.
    pub(super) fn current_inventory(&self) -> Result<Cow<'_, Inventory>, TopologyError> {
        match &self.inventory {
            Some(known) => Ok(Cow::Borrowed(known)),
            None => Inventory::scan(&self.roots).map(Cow::Owned),
        }
    }

    /// The devices: those that changed read again, where the others are known.
    fn read_devices(&mut self) -> Result<Inventory, TopologyError> {
        let news = std::mem::take(&mut self.news);
        match self.inventory.take() {
            Some(mut inventory) if !news.all => {
                inventory.update(&self.roots, &news)?;
                let now = Instant::now();
                let first = *self.partial_since.get_or_insert(now);
                self.due.scan = Some((now + QUIET).min(first + LATEST));
                Ok(inventory)
            }
            _ => {
                (self.due.scan, self.partial_since) = (None, None);
                Inventory::scan(&self.roots)
            }
        }
    }

    fn tell_kernel(&mut self, classification: Classification) -> kernel::Result<()> {
        // Nobody else writes the table of majors, and reading it back is 4,096 system calls.
        if self.surveyed.devices.is_empty()
            || self.surveyed.char_majors != classification.char_majors
            || self.surveyed.control_majors != classification.control_majors
        {
            self.guard
                .set_char_majors(&classification.char_majors, &classification.control_majors)?;
        }
        if self.surveyed.devices.is_empty() || self.surveyed.guarded_dm != classification.guarded_dm
        {
            let told = self.guard.set_guarded_dm(&classification.guarded_dm);
            self.set_health("mapper-names", told.err().map(|error| error.to_string()));
        }
        let policy = self.guard.policy()?;
        if policy.dm_major != classification.dm_major {
            self.guard.set_policy(&Policy {
                dm_major: classification.dm_major,
                ..policy
            })?;
        }
        let mut wanted: Vec<(DeviceKey, DeviceEntry)> = classification
            .devices
            .iter()
            .map(|device| (device.key, device.entry))
            .collect();
        self.overrides.lay_grants_over(&mut wanted);
        let report = self.guard.sync_devices(&wanted)?;
        let closed = report.were_free > 0;
        let no_room = (report.no_room > 0).then(|| {
            format!(
                "the kernel's table has no room for {} devices; they are refused like unknown ones",
                report.no_room
            )
        });
        let doubts =
            (!classification.problems.is_empty()).then(|| classification.problems.join("; "));
        let identities = classification.critical_identities();
        let arguments_changed = classification.free_lv_arguments != self.surveyed.free_lv_arguments;
        self.surveyed = classification;
        self.set_health("devices-table", no_room);
        self.set_health("topology", doubts);
        if !identities.is_empty() {
            self.state.data_seen = true;
        }
        self.remember(identities);
        if arguments_changed {
            self.set_tools();
        }
        self.places_may_have_changed();
        if closed {
            self.look_for_descriptors();
        }
        Ok(())
    }

    /// Looks for places again where something has changed that they depend on: finding them takes
    /// longer than the rest of a survey, and most surveys are about free devices.
    fn places_may_have_changed(&mut self) {
        let mounts = self.mount_table();
        let digest = self.place_facts(&mounts).digest();
        let known = self.places_digest;
        if known.map(|known| known.databases) != Some(digest.databases) {
            self.find_places(&mounts);
        } else if known != Some(digest) || self.partial_since.is_none() {
            self.change_places(&mounts, digest);
            // Whoever unmounts a device, or takes it out of a group, and uses it again is not to
            // wait for the rest in between. After a quiet time everything is read, because some
            // changes have no event.
            self.due
                .places
                .get_or_insert_with(|| Instant::now() + PLACES_WAIT);
        }
    }

    /// Tells what is in use now, beside the files that were found last.
    fn change_places(&mut self, mounts: &MountTable, digest: places::FactsDigest) {
        let (Some(on_disk), Some(told)) = (&self.places_on_disk, &self.places) else {
            return;
        };
        let found = places::with_those_in_use(on_disk, self.place_facts(mounts));
        if *told != found {
            let changed = self
                .guard
                .set_places(Some(&told.entries), &found.entries, || found.members());
            self.told_places(found, changed);
        }
        self.places_digest = Some(digest);
    }

    fn told_places(&mut self, found: places::Places, told: kernel::Result<u64>) {
        let error_free = told.is_ok();
        // After a failure, what has been added by now is not another reason to try again.
        self.additions = match &told {
            Ok(additions) => Some(*additions),
            Err(_) => self.guard.additions().ok(),
        };
        let problem = told
            .err()
            .map(|error| error.to_string())
            .or_else(|| (!found.problems.is_empty()).then(|| found.problems.join("; ")));
        self.watch_directories.clone_from(&found.watch);
        // After a failure nobody knows what the table holds: it is read and written anew.
        self.places = error_free.then_some(found);
        self.set_health("places", problem);
    }

    fn place_facts<'a>(&'a self, mounts: &'a MountTable) -> places::Facts<'a> {
        places::Facts {
            roots: &self.roots,
            mounts,
            devices: &self.surveyed,
            processes: &self.processes,
        }
    }

    /// Tells the kernel half which files and directories matter, where that has changed.
    pub(super) fn set_places(&mut self) {
        self.find_places(&self.mount_table());
    }

    fn find_places(&mut self, mounts: &MountTable) {
        let facts = self.place_facts(mounts);
        let digest = facts.digest();
        let on_disk = places::on_disk(facts);
        let found = places::with_those_in_use(&on_disk, facts);
        self.places_digest = Some(digest);
        self.places_on_disk = Some(on_disk);
        if self.places.as_ref() == Some(&found) && !self.has_additions() {
            return;
        }
        let told = self
            .guard
            .set_places(None, &found.entries, || found.members());
        self.told_places(found, told);
    }

    /// Whether the kernel half has added something that was not there when the places were told.
    fn has_additions(&self) -> bool {
        self.guard
            .additions()
            .is_ok_and(|additions| self.additions != Some(additions))
    }

    /// While it has, every open for writing costs a look-up: soon, it is told what there is.
    pub(super) fn mind_additions(&mut self) {
        if self.due.places.is_none() && self.has_additions() {
            self.due.places = Some(Instant::now() + PLACES_WAIT);
        }
    }

    fn remember(&mut self, identities: Vec<crate::topology::DeviceIdentity>) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if self.state.memory.learn(identities, now) {
            self.save_state();
        }
    }

    /// Tells the kernel half which executables are servers and which are trusted tools.
    pub(super) fn set_executables(&mut self) {
        let mounts = self.mount_table();
        let engines = self.engines.resolve(&mounts);
        let problem = self.guard.set_engines(&engines.names, &engines.exes).err();
        for absent in &engines.problems {
            log(WARNING, absent);
        }
        self.set_health("engines", problem.map(|error| error.to_string()));
        self.watch_paths.extend(engines.watch);
        self.set_tools();
    }

    fn set_tools(&mut self) {
        // An upgrade between looking and telling would leave the new program without its grant,
        // and nobody could start it on an armed host.
        const ATTEMPTS: u32 = 3;
        for _ in 0..ATTEMPTS {
            let before = self.own_identity();
            self.tell_tools();
            if self.own_identity() == before {
                return;
            }
        }
    }

    /// The program that lies where this one was started from.
    fn own_identity(&self) -> Option<guard_abi::ExeId> {
        host::exe_id(&self.mount_table(), host::own_program()).ok()
    }

    fn tell_tools(&mut self) {
        let mounts = self.mount_table();
        let tools = self
            .tools
            .resolve(Path::new("/"), &mounts, &self.surveyed.free_lv_arguments);
        let problem = self
            .guard
            .set_tools(&tools.rules, &tools.verbs, &tools.arguments)
            .err();
        self.set_health("tools", problem.map(|error| error.to_string()));
        self.watch_paths.extend(tools.watch);
        self.watch_paths.sort();
        self.watch_paths.dedup();
    }

    fn mount_table(&self) -> MountTable {
        // An empty table makes identities fall back on stat(2).
        MountTable::read(&self.roots, "self").unwrap_or_default()
    }

    /// Processes that were there before the kernel half, or before their executable was marked.
    pub(super) fn track_running(&mut self) -> kernel::Result<usize> {
        let running = host::find_running(&self.roots, &self.engines);
        let tracked = self.guard.tasks()?;
        let mut added = 0;
        for process in &running {
            let known = tracked
                .iter()
                .find(|(pid, _)| *pid == process.pid)
                .map(|(_, entry)| *entry);
            let entry = known.unwrap_or_default();
            if entry.engine == 0 {
                let engine = process.engine as u32;
                self.guard
                    .track_task(process.pid, TaskEntry { engine, ..entry })?;
                added += 1;
            }
        }
        Ok(added)
    }
}

impl Daemon {
    /// Trusted tools that were started before the kernel half could see them.
    pub(super) fn track_tools(&self) -> kernel::Result<()> {
        let mounts = self.mount_table();
        let rules = self.tools.resolve(Path::new("/"), &mounts, &[]).rules;
        let running = host::running_tools(&self.roots, &mounts, &self.tools, &rules);
        if running.is_empty() {
            return Ok(());
        }
        let tracked: HashMap<u32, TaskEntry> = self.guard.tasks()?.into_iter().collect();
        for tool in running {
            if tracked.contains_key(&tool.pid) {
                continue;
            }
            let entry = TaskEntry {
                engine: 0,
                grants: tool.grants,
                start_boot_ns: tool.start_boot_ns,
                ..TaskEntry::default()
            };
            self.guard.track_task(tool.pid, entry)?;
            // One that has ended meanwhile must not leave its grants to the next of its number.
            if host::start_boot_ns(&self.roots, tool.pid) != Some(tool.start_boot_ns) {
                self.guard.forget_task(tool.pid)?;
            }
        }
        Ok(())
    }
}

/// dev_t, kernel form, of a path to a block device.
pub fn block_device(path: &Path) -> Option<u32> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let metadata = std::fs::metadata(path).ok()?;
    metadata
        .file_type()
        .is_block_device()
        .then(|| kernel_dev(metadata.rdev()))
}

/// Files whose change means another picture of the host.
pub fn announced_files(roots: &Roots) -> [PathBuf; 3] {
    ["self/mountinfo", "mdstat", "swaps"].map(|name| roots.proc.join(name))
}
