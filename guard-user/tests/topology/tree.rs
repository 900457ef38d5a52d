//! A machine described in a few lines.
//!
//! ```text
//! disk sda 8:0 scsi=0:0:0:0 wwid=naa.1 serial=S1
//! part sda1 8:1 of=sda
//! dm dm-0 253:0 lvm=vg0/data over=sda1          (or name=… uuid=…)
//! md md0 9:0 level=raid1 disks=2 degraded=0 over=sda1,sdb1
//! loop loop0 7:0 file=/srv/image
//! nvme nvme0n1 259:0 ctrl=nvme0 subsys=nvme-subsys0
//! node sg0 21:0 class=scsi_generic scsi=0:0:0:0
//! mount 253:0 /var/lib/mysql xfs /dev/dm-0 rw
//! swap /dev/sda2 partition
//! udev 8:1 ID_FS_TYPE=LVM2_member
//! ```

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use guard_abi::{DeviceClass, DeviceKey, dev, device_flag};
use guard_user::topology::{
    Classification, Classified, DataUse, Inventory, Location, Memory, Roots, Uses, classify,
};

pub struct Tree {
    pub dir: tempfile::TempDir,
    pub roots: Roots,
    mounts: String,
    swaps: String,
    places: HashMap<String, String>,
}

type Options<'a> = HashMap<&'a str, &'a str>;

pub fn number(text: &str) -> u32 {
    let (major, minor) = text.split_once(':').unwrap();
    dev::make(major.parse().unwrap(), minor.parse().unwrap())
}

/// A 32-character LVM id made of a name.
pub fn lvm_id(name: &str) -> String {
    let mut id: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    while id.len() < 32 {
        id.insert(0, 'Z');
    }
    id
}

/// `group/volume[/layer]` → dm name and UUID as LVM makes them.
pub fn lvm_names(text: &str) -> (String, String) {
    let mut parts = text.split('/');
    let (group, volume) = (parts.next().unwrap(), parts.next().unwrap());
    let escape = |name: &str| name.replace('-', "--");
    let mut name = format!("{}-{}", escape(group), escape(volume));
    let mut uuid = format!("LVM-{}{}", lvm_id(group), lvm_id(volume));
    if let Some(layer) = parts.next() {
        // The layers whose volume carries the same word do not repeat it in the name.
        if !volume.ends_with(&format!("_{layer}")) && layer != "pool" {
            name.push_str(&format!("-{layer}"));
        }
        uuid.push_str(&format!("-{layer}"));
    }
    (name, uuid)
}

impl Tree {
    pub fn new(text: &str) -> Self {
        // Thousands of small files: in memory where there is room for them.
        let memory = Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(memory)
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let roots = Roots::under(dir.path());
        for path in [
            "sys/class/block",
            "sys/devices",
            "proc/self",
            "run",
            "dev",
            "proc/1/root",
        ] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let mut tree = Self {
            dir,
            roots,
            mounts: String::new(),
            swaps: "Filename Type Size Used Priority\n".to_owned(),
            places: HashMap::new(),
        };
        tree.write(
            "proc/devices",
            "Character devices:\n 21 sg\n240 nvme\n241 nvme-generic\n247 bsg\n\n\
             Block devices:\n  8 sd\n253 device-mapper\n",
        );
        tree.add(text);
        tree
    }

    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn add(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let options = || -> Options<'_> {
                words
                    .iter()
                    .filter_map(|word| word.split_once('='))
                    .collect()
            };
            match words[0] {
                "mount" => self.mount(&words[1..]),
                "swap" => {
                    self.swaps
                        .push_str(&format!("{} {} 1 0 -2\n", words[1], words[2]));
                }
                "udev" => {
                    let lines = words[2..].join("\nE:");
                    let lines = format!("E:{lines}\n");
                    self.write(&format!("run/udev/data/b{}", words[1]), &lines);
                }
                "node" => self.node(words[1], words[2], &options()),
                kind => self.block(kind, words[1], words[2], &options()),
            }
        }
        self.write("proc/self/mountinfo", &self.mounts);
        self.write("proc/swaps", &self.swaps);
    }

    fn mount(&mut self, words: &[&str]) {
        let [dev, point, fs_type, source, options] = words else {
            panic!("mount {words:?}")
        };
        let id = self.mounts.lines().count() + 20;
        self.mounts.push_str(&format!(
            "{id} 1 {dev} / {point} rw,relatime shared:1 - {fs_type} {source} {options}\n"
        ));
    }

    fn place(&self, kind: &str, name: &str, options: &Options<'_>) -> String {
        if let Some(disk) = options.get("of") {
            return format!("{}/{name}", self.places[*disk]);
        }
        if let Some(address) = options.get("scsi") {
            let host = address.split(':').next().unwrap();
            return format!("pci0000:00/0000:00:05.0/host{host}/target/{address}/block/{name}");
        }
        match (kind, options.get("ctrl"), options.get("subsys")) {
            ("nvme", _, Some(subsystem)) => {
                format!("virtual/nvme-subsystem/{subsystem}/{name}")
            }
            ("nvme", Some(controller), _) => {
                format!("pci0000:00/0000:00:06.0/nvme/{controller}/{name}")
            }
            ("disk", ..) => format!("pci0000:00/0000:00:07.0/virtio1/block/{name}"),
            _ => format!("virtual/block/{name}"),
        }
    }

    fn block(&mut self, kind: &str, name: &str, dev: &str, options: &Options<'_>) {
        let place = self.place(kind, name, options);
        let base = format!("sys/devices/{place}");
        let (major, minor) = dev.split_once(':').unwrap();
        let is_partition = kind == "part";
        let mut uevent = format!(
            "MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\nDEVTYPE={}\nDISKSEQ={}\n",
            if is_partition { "partition" } else { "disk" },
            options.get("seq").unwrap_or(&"7"),
        );
        if is_partition {
            let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
            uevent.push_str(&format!("PARTN={}\n", &name[stem.len()..]));
        } else {
            fs::create_dir_all(self.path(&format!("{base}/slaves"))).unwrap();
        }
        self.write(&format!("{base}/uevent"), &uevent);
        self.write(
            &format!("{base}/size"),
            options.get("size").unwrap_or(&"2048000"),
        );
        self.write(&format!("{base}/ro"), "0\n");
        fs::create_dir_all(self.path(&format!("{base}/holders"))).unwrap();
        let attribute = |path: &str, option: &str| {
            if let Some(value) = options.get(option) {
                self.write(
                    &format!("{base}/{path}"),
                    &format!("{}\n", value.replace("%20", " ")),
                );
            }
        };
        attribute("wwid", "wwid");
        attribute("serial", "serial");
        attribute("removable", "removable");
        attribute("loop/backing_file", "file");
        attribute("dm/name", "name");
        attribute("dm/uuid", "uuid");
        attribute("md/level", "level");
        attribute("md/raid_disks", "disks");
        attribute("md/degraded", "degraded");
        attribute("md/sync_action", "sync");
        attribute("md/metadata_version", "metadata");
        attribute("md/uuid", "mduuid");
        if let Some(text) = options.get("lvm") {
            let (dm_name, uuid) = lvm_names(text);
            self.write(&format!("{base}/dm/name"), &format!("{dm_name}\n"));
            self.write(&format!("{base}/dm/uuid"), &format!("{uuid}\n"));
        }
        symlink(
            format!("../../devices/{place}"),
            self.path(&format!("sys/class/block/{name}")),
        )
        .unwrap();
        self.places.insert(name.to_owned(), place);
        for below in options.get("over").iter().flat_map(|list| list.split(',')) {
            fs::create_dir_all(self.path(&format!("{base}/slaves/{below}"))).unwrap();
            let holders = format!("sys/devices/{}/holders/{name}", self.places[below]);
            fs::create_dir_all(self.path(&holders)).unwrap();
        }
    }

    fn node(&mut self, name: &str, dev: &str, options: &Options<'_>) {
        let class = options["class"];
        let place = match (options.get("scsi"), options.get("ctrl")) {
            (Some(address), _) => {
                let host = address.split(':').next().unwrap();
                format!("pci0000:00/0000:00:05.0/host{host}/target/{address}/{class}/{name}")
            }
            (None, Some(controller)) => {
                format!("pci0000:00/0000:00:06.0/nvme/{controller}/{name}")
            }
            (None, None) => format!("pci0000:00/0000:00:06.0/{class}/{name}"),
        };
        self.write(&format!("sys/devices/{place}/dev"), &format!("{dev}\n"));
        if let Some(kind) = options.get("type") {
            self.write(
                &format!("sys/devices/{place}/device/type"),
                &format!("{kind}\n"),
            );
        }
        let link = self.path(&format!("sys/class/{class}/{name}"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(format!("../../devices/{place}"), link).unwrap();
        if let Some(subsystem) = options.get("subsys") {
            fs::create_dir_all(self.path(&format!("sys/class/nvme-subsystem/{subsystem}/{name}")))
                .unwrap();
        }
    }

    pub fn scan(&self) -> Inventory {
        Inventory::scan(&self.roots).unwrap()
    }

    pub fn uses(&self) -> Uses {
        Uses::of_host(&self.roots, &self.scan()).unwrap()
    }

    /// Classification with the host's own uses and a database on each of these devices.
    pub fn judge_with(&self, databases: &[&str], memory: &Memory) -> Verdicts {
        let inventory = self.scan();
        let mut uses = Uses::of_host(&self.roots, &inventory).unwrap();
        uses.data
            .extend(databases.iter().map(|name| data_on(&inventory, name)));
        Verdicts(classify(&inventory, &uses, memory))
    }

    pub fn judge(&self, databases: &[&str]) -> Verdicts {
        self.judge_with(databases, &Memory::default())
    }
}

pub fn data_on(inventory: &Inventory, name: &str) -> DataUse {
    let device = inventory
        .by_name(name)
        .unwrap_or_else(|| panic!("no device {name}"));
    DataUse {
        path: "/var/lib/mysql".into(),
        location: Some(Location {
            dev: device.dev,
            fs_type: "xfs".to_owned(),
            source: format!("/dev/{name}"),
        }),
        engine: guard_abi::Engine::Mysql,
        name: "mariadbd".to_owned(),
        pid: Some(812),
    }
}

/// A classification, asked by names.
pub struct Verdicts(pub Classification);

impl Verdicts {
    pub fn of(&self, name: &str) -> &Classified {
        self.0
            .devices
            .iter()
            .find(|device| &*device.name == name)
            .unwrap_or_else(|| panic!("{name} is not classified"))
    }

    pub fn is_known(&self, name: &str) -> bool {
        self.0.devices.iter().any(|device| &*device.name == name)
    }

    /// `protected critical lvm-pv`, `free disk-protected`, ….
    pub fn words(&self, name: &str) -> String {
        let device = self.of(name);
        let mut words = vec![device.class().as_str()];
        for (flag, word) in [
            (device_flag::CRITICAL_DATA, "critical"),
            (device_flag::IN_USE, "in-use"),
            (device_flag::LVM_PV, "lvm-pv"),
            (device_flag::MD_MEMBER, "md-member"),
            (device_flag::EXT_MOUNTED, "ext"),
            (device_flag::DB_RAW, "db-raw"),
            (device_flag::DISK_PROTECTED, "disk-protected"),
            (device_flag::MD_REDUNDANT, "md-redundant"),
            (device_flag::REMEMBERED, "remembered"),
            (device_flag::LUKS, "luks"),
            (device_flag::PREEN, "preen"),
            (device_flag::SWAP, "swap"),
        ] {
            if device.has(flag) {
                words.push(word);
            }
        }
        words.join(" ")
    }

    pub fn why(&self, name: &str) -> Vec<String> {
        self.of(name).why.iter().map(ToString::to_string).collect()
    }

    /// One line a device: `name: words`.
    #[track_caller]
    pub fn expect(&self, expected: &str) {
        for line in expected
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            let (name, words) = line.split_once(": ").unwrap();
            assert_eq!(self.words(name), words, "{name}: {:?}", self.why(name));
        }
    }

    pub fn is_protected(&self, name: &str) -> bool {
        self.of(name).class() == DeviceClass::Protected
    }

    pub fn key(&self, key: DeviceKey) -> Option<&Classified> {
        self.0.get(key)
    }
}

/// Reading a file of the tree as a path of its machine.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
