//! Running servers, found and followed to their devices.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use guard_abi::{Engine, device_flag};
use guard_user::host::{EngineTable, find_running, inspect};
use guard_user::topology::{Memory, Uses, classify};

use super::tree::{Tree, Verdicts, exists, number};

struct Server<'a> {
    pid: u32,
    parent: u32,
    exe: &'a str,
    arguments: &'a [&'a str],
    cwd: &'a str,
    /// (descriptor, target, open for writing)
    files: &'a [(u32, &'a str, bool)],
    /// `None`: the host's own.
    mounts: Option<&'a str>,
    /// Root directory, below the tree; the host's where empty.
    root: &'a str,
    cgroup: &'a str,
}

const PLAIN: Server<'_> = Server {
    pid: 812,
    parent: 1,
    exe: "/usr/sbin/mariadbd",
    arguments: &["/usr/sbin/mariadbd"],
    cwd: "/var/lib/mysql",
    files: &[],
    mounts: None,
    root: "",
    cgroup: "0::/system.slice/mariadb.service\n",
};

fn start(tree: &Tree, server: &Server<'_>) {
    let base = format!("proc/{}", server.pid);
    let name = Path::new(server.exe).file_name().unwrap().to_str().unwrap();
    tree.write(
        &format!("{base}/comm"),
        &format!("{}\n", &name[..name.len().min(15)]),
    );
    tree.write(
        &format!("{base}/cmdline"),
        &format!("{}\0", server.arguments.join("\0")),
    );
    tree.write(&format!("{base}/environ"), "PATH=/bin\0PGDATA=/srv/pg\0");
    let zeros = "0 ".repeat(17);
    tree.write(
        &format!("{base}/stat"),
        &format!(
            "{} ({name}) S {} {zeros}4242 1\n",
            server.pid, server.parent
        ),
    );
    tree.write(&format!("{base}/cgroup"), server.cgroup);
    let own = fs::read_to_string(tree.path("proc/self/mountinfo")).unwrap();
    tree.write(&format!("{base}/mountinfo"), server.mounts.unwrap_or(&own));
    symlink(server.exe, tree.path(&format!("{base}/exe"))).unwrap();
    symlink(server.cwd, tree.path(&format!("{base}/cwd"))).unwrap();
    let root = if server.root.is_empty() {
        "proc/1/root"
    } else {
        server.root
    };
    fs::create_dir_all(tree.path(root)).unwrap();
    symlink(tree.path(root), tree.path(&format!("{base}/root"))).unwrap();
    for (fd, target, write) in server.files {
        fs::create_dir_all(tree.path(&format!("{base}/fd"))).unwrap();
        symlink(target, tree.path(&format!("{base}/fd/{fd}"))).unwrap();
        let flags = if *write { "0100002" } else { "0100000" };
        tree.write(
            &format!("{base}/fdinfo/{fd}"),
            &format!("pos:\t0\nflags:\t{flags}\n"),
        );
    }
}

fn judge(tree: &Tree) -> Verdicts {
    let inventory = tree.scan();
    let mut uses = Uses::of_host(&tree.roots, &inventory).unwrap();
    for process in find_running(&tree.roots, &EngineTable::built_in()) {
        uses.add_process(&process);
    }
    Verdicts(classify(&inventory, &uses, &Memory::default()))
}

const MACHINE: &str = "
    disk sda 8:0
    disk sdb 8:16
    disk sdc 8:32
    disk sdd 8:48
    mount 8:0 / ext4 /dev/sda rw
    mount 8:16 /var/lib/mysql xfs /dev/sdb rw
    mount 8:32 /srv xfs /dev/sdc rw
";

#[test]
fn a_server_that_has_just_started_is_known_by_its_configuration() {
    let tree = Tree::new(MACHINE);
    tree.write(
        "proc/1/root/etc/mysql/my.cnf",
        "[mysqld]\ndatadir=/srv/mysql\n",
    );
    start(&tree, &Server { cwd: "/", ..PLAIN });
    let server = inspect(&tree.roots, 812, Engine::Mysql).unwrap();
    assert_eq!(server.name, "mariadbd");
    assert_eq!(server.unit.as_deref(), Some("mariadb.service"));
    assert_eq!(server.start_boot_ns, 42_420_000_000);
    assert!(!server.settled);
    let verdicts = judge(&tree);
    verdicts.expect("sdc: protected critical in-use\nsdb: protected in-use\nsdd: free");
    assert_eq!(
        verdicts.why("sdc")[0],
        "carries /srv/mysql (mariadbd 812, running)"
    );
}

#[test]
fn open_files_tell_where_else_the_data_is() {
    let tree = Tree::new(MACHINE);
    fs::create_dir_all(tree.path("proc/1/root/var/lib/mysql")).unwrap();
    tree.write("proc/1/root/var/lib/mysql/ibdata1", "");
    let files = [
        (3, "/var/lib/mysql/ibdata1", true),
        (4, "/srv/tables/t.ibd", true),
        (5, "/var/log/mysql/error.log", true),
        (6, "/usr/share/mysql/errmsg.sys", false),
        (7, "socket:[123]", true),
        (8, "/tmp/ibX (deleted)", true),
    ];
    start(
        &tree,
        &Server {
            files: &files,
            ..PLAIN
        },
    );
    let server = inspect(&tree.roots, 812, Engine::Mysql).unwrap();
    assert!(server.settled);
    let dirs: Vec<_> = server
        .data_dirs
        .iter()
        .map(|dir| dir.path.to_str().unwrap())
        .collect();
    assert_eq!(dirs, ["/var/lib/mysql", "/srv/tables"]);
    judge(&tree).expect(
        "sdb: protected critical in-use
         sdc: protected critical in-use
         sda: protected in-use ext",
    );
}

#[test]
fn a_table_elsewhere_is_data_and_an_export_is_no_reason_to_look_again() {
    let tree = Tree::new(MACHINE);
    tree.write("proc/1/root/var/lib/mysql/ibdata1", "");
    let files = [
        (3, "/var/lib/mysql/ibdata1", true),
        (4, "/srv/out/export.csv", true),
    ];
    start(
        &tree,
        &Server {
            files: &files,
            ..PLAIN
        },
    );
    let look = || inspect(&tree.roots, 812, Engine::Mysql).unwrap();
    let exporting = look();
    let found: Vec<_> = exporting
        .data_dirs
        .iter()
        .map(|dir| (dir.path.to_str().unwrap(), dir.is_merely_open))
        .collect();
    assert_eq!(found, [("/var/lib/mysql", false), ("/srv/out", true)]);
    fs::remove_file(tree.path("proc/812/fd/4")).unwrap();
    let done = look();
    assert_ne!(done, exporting);
    assert!(done.has_same_data(&exporting) && exporting.has_same_data(&done));
    tree.write(
        "proc/1/root/var/lib/mysql/shop/t.isl",
        "/srv/tables/shop/t.ibd\n",
    );
    let with_table = look();
    assert!(!with_table.has_same_data(&done) && !done.has_same_data(&with_table));
    let watched: Vec<_> = with_table
        .names_data_in
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(watched, ["shop", "mysql"]);
    judge(&tree).expect("sdc: protected critical in-use");
}

#[test]
fn locks_count_where_no_path_leads() {
    let tree = Tree::new(MACHINE);
    tree.write(
        "proc/locks",
        "1: POSIX  ADVISORY  WRITE 812 08:20:131 0 EOF\n",
    );
    start(&tree, &PLAIN);
    judge(&tree).expect("sdc: protected critical in-use");
}

#[test]
fn a_container_is_followed_through_its_own_mounts() {
    let mut tree = Tree::new(MACHINE);
    tree.add("disk sde 8:64\nmount 8:64 /var/lib/docker ext4 /dev/sde rw");
    let mounts = "\
1 0 0:60 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/u/diff,workdir=/w
2 1 8:48 /vol /var/lib/mysql rw - xfs /dev/sdd rw
";
    let id = "ab".repeat(32);
    let cgroup = format!("0::/system.slice/docker-{id}.scope\n");
    start(
        &tree,
        &Server {
            mounts: Some(mounts),
            root: "container",
            cwd: "/",
            arguments: &[
                "mariadbd",
                "--datadir=/var/lib/mysql",
                "--log-bin=/binlog/b",
            ],
            cgroup: &cgroup,
            ..PLAIN
        },
    );
    let server = inspect(&tree.roots, 812, Engine::Mysql).unwrap();
    assert_eq!(server.container.as_deref(), Some("abababababab"));
    judge(&tree).expect(
        "sdd: protected critical
         sde: protected critical in-use ext
         sda: protected in-use ext
         sdb: protected in-use",
    );
}

#[test]
fn postgres_with_its_log_and_tablespaces_elsewhere() {
    let mut tree = Tree::new(MACHINE);
    tree.add("disk sde 8:64\nmount 8:64 /fast xfs /dev/sde rw");
    tree.add("mount 8:48 /space xfs /dev/sdd rw");
    let data = "proc/1/root/srv/pg";
    tree.write(&format!("{data}/PG_VERSION"), "15\n");
    tree.write(&format!("{data}/postmaster.pid"), "900\n");
    fs::create_dir_all(tree.path(&format!("{data}/pg_tblspc"))).unwrap();
    symlink("/fast/wal", tree.path(&format!("{data}/pg_wal"))).unwrap();
    symlink("/space/t", tree.path(&format!("{data}/pg_tblspc/16384"))).unwrap();
    assert!(exists(&tree.path(&format!("{data}/pg_wal"))));
    let exe = "/usr/lib/postgresql/15/bin/postgres";
    let server = Server {
        pid: 900,
        exe,
        arguments: &["postgres", "-D", "/srv/pg"],
        cwd: "/srv/pg",
        ..PLAIN
    };
    start(&tree, &server);
    start(
        &tree,
        &Server {
            pid: 901,
            parent: 900,
            arguments: &["postgres: writer"],
            ..server
        },
    );
    let found = find_running(&tree.roots, &EngineTable::built_in());
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].worker_of, Some(900));
    assert!(found[0].settled);
    judge(&tree).expect(
        "sdc: protected critical in-use
         sde: protected critical in-use
         sdd: protected critical in-use
         sda: protected in-use ext",
    );
}

#[test]
fn the_environment_names_the_directory_too() {
    let tree = Tree::new(MACHINE);
    tree.write(
        "proc/1/root/srv/pg/postgresql.conf",
        "data_directory = '/var/lib/mysql/pg'\n",
    );
    let exe = "/usr/lib/postgresql/15/bin/postgres";
    start(
        &tree,
        &Server {
            exe,
            arguments: &["postgres"],
            cwd: "/",
            ..PLAIN
        },
    );
    judge(&tree).expect("sdb: protected critical in-use");
}

#[test]
fn probes_clients_and_vanished_processes_are_no_servers() {
    let tree = Tree::new(MACHINE);
    start(
        &tree,
        &Server {
            arguments: &["mariadbd", "--version"],
            ..PLAIN
        },
    );
    start(
        &tree,
        &Server {
            pid: 813,
            exe: "/usr/bin/mysql",
            ..PLAIN
        },
    );
    fs::create_dir_all(tree.path("proc/814")).unwrap();
    assert_eq!(find_running(&tree.roots, &EngineTable::built_in()), []);
    assert_eq!(inspect(&tree.roots, 814, Engine::Mysql), None);
    let mut table = EngineTable::built_in();
    table.add_exe(Path::new("/usr/bin/mysql"), Engine::Custom);
    assert_eq!(find_running(&tree.roots, &table).len(), 1);
}

#[test]
fn a_raw_device_is_the_servers_own() {
    let tree = Tree::new("disk sda 8:0\npart sda1 8:1 of=sda\nmount 8:0 / xfs /dev/sda rw");
    let inventory = tree.scan();
    let mut uses = Uses::default();
    uses.raw.push(guard_user::topology::RawUse {
        dev: number("8:1"),
        engine: Engine::Mysql,
        name: "mariadbd".to_owned(),
        pid: Some(812),
    });
    let verdicts = Verdicts(classify(&inventory, &uses, &Memory::default()));
    verdicts.expect("sda1: protected critical db-raw\nsda: protected critical");
    assert!(!verdicts.of("sda").has(device_flag::DB_RAW));
}

#[test]
fn a_server_executed_through_a_link_is_known_by_that_name() {
    let tree = Tree::new(MACHINE);
    start(
        &tree,
        &Server {
            exe: "/opt/db/server-11",
            ..PLAIN
        },
    );
    assert_eq!(find_running(&tree.roots, &EngineTable::built_in()), []);
    tree.write("proc/812/comm", "mysqld\n");
    assert_eq!(find_running(&tree.roots, &EngineTable::built_in()).len(), 1);
}
