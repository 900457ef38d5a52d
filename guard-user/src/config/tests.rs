use super::*;
use proptest::prelude::*;

fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    root
}

fn error_of(text: &str) -> String {
    let root = host(&[("etc/dbguard/dbguard.toml", text)]);
    let error = Config::read(root.path())
        .expect_err("not a configuration")
        .to_string();
    error.replace(&root.path().display().to_string(), "")
}

#[test]
fn nothing_at_all_is_enforce() {
    assert_eq!(
        Config::read(host(&[]).path()).expect("reads"),
        Config::default()
    );
    assert_eq!(Config::default().mode, Mode::Enforce);
}

#[test]
fn later_files_win_and_lists_add_up() {
    let root = host(&[
        (
            "usr/lib/dbguard/dbguard.toml",
            "mode = 'observe'\n[engines]\nnames = ['mongod']\n",
        ),
        ("etc/dbguard/conf.d/20-b.toml", "mode = 'enforce'\n"),
        (
            "etc/dbguard/conf.d/10-a.toml",
            "mode = 'observe'\n[engines]\nnames = ['etcd']\n",
        ),
        ("etc/dbguard/conf.d/.30-c.toml", "mode = 'nonsense'\n"),
        ("etc/dbguard/conf.d/40-d.toml~", "mode = 'nonsense'\n"),
    ]);
    let config = Config::read(root.path()).expect("reads");
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.engine_names, ["mongod", "etcd"]);
    let last = config.origins.last().expect("origins");
    assert_eq!((last.key, last.value.as_str()), ("mode", "\"enforce\""));
    assert!(last.file.ends_with("20-b.toml"));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let text = "mode = 'observe'\nraw_devices = ['/dev/disk/by-id/x']\ndata_directories = ['/srv/my\"sql']\n\
        [ops]\nkexec = 'allow'\nraw-write = 'refuse'\n\
        [engines]\nnames = ['mongod']\nexecutables = ['/opt/db/bin/server']\n\
        [tools]\ndisabled = ['smartctl']\nextra = [{ path = '/opt/raid/cli', grants = ['drive-query', 'lvm'] }]\n";
    let first = Config::read(host(&[("etc/dbguard/dbguard.toml", text)]).path()).expect("reads");
    let shown = first.to_string();
    let second = Config::read(host(&[("etc/dbguard/dbguard.toml", &shown)]).path()).expect("reads");
    assert_eq!(
        Config {
            origins: Vec::new(),
            ..second
        },
        Config {
            origins: Vec::new(),
            ..first
        }
    );
}

#[test]
fn later_files_win_for_each_operation_class() {
    let root = host(&[
        (
            "etc/dbguard/dbguard.toml",
            "[ops]\nkexec = 'observe'\nreset = 'observe'\n",
        ),
        (
            "etc/dbguard/conf.d/10-a.toml",
            "[ops]\nkexec = 'allow'\nbmc = 'refuse'\n",
        ),
    ]);
    let config = Config::read(root.path()).expect("reads");
    assert_eq!(
        config.modes().to_string(),
        "enforce, except kexec allow, reset observe"
    );
    let shown = config.to_string();
    for line in [
        "\nkexec = \"allow\"\n",
        "\nreset = \"observe\"\n",
        "\nbmc = \"refuse\"\n",
        "\n# raw-write = \"refuse\"\n",
    ] {
        assert!(shown.contains(line), "expected {line:?} in {shown}");
    }
    let last = config.origins.last().expect("origins");
    assert_eq!(
        (last.key, last.value.as_str()),
        ("ops", "{ kexec = \"allow\", bmc = \"refuse\" }")
    );
}

#[test]
fn errors_name_file_line_key_and_next_step() {
    for (text, parts) in [
        (
            "\nmode = 'enforced'\n",
            [
                "dbguard.toml:2: key 'mode': unknown variant `enforced`",
                "config check",
            ],
        ),
        (
            "mode = 'enforce'\nmodes = 1\n",
            [
                "dbguard.toml:2: key 'modes': unknown field `modes`",
                "config check",
            ],
        ),
        (
            "[ops]\nkexec = 'refused'\n",
            [
                "dbguard.toml:2: key 'kexec': unknown variant `refused`",
                "`refuse`, `observe`, `allow`",
            ],
        ),
        (
            "[ops]\n\nkexecs = 'refuse'\n",
            [
                "dbguard.toml:3: key 'kexecs': unknown variant `kexecs`",
                "`boot-file`",
            ],
        ),
        (
            "[engines]\n\nname = ['x']\n",
            ["dbguard.toml:3: key 'name': unknown field `name`", "names"],
        ),
        (
            "mode = \n",
            ["dbguard.toml:1: key 'mode': ", "correct or remove it"],
        ),
        (
            "mode = 'observe'\nmode = 'enforce'\n",
            ["dbguard.toml:2: key 'mode': duplicate key", ""],
        ),
        (
            "[engines]\nnames = ['averyveryverylongname']\n",
            ["dbguard.toml:2: key 'engines.names'", "15 bytes"],
        ),
        (
            "raw_devices = ['sdb']\n",
            ["dbguard.toml:1: key 'raw_devices'", "not an absolute path"],
        ),
        (
            "[tools]\nextra = [{ path = '/x', grants = ['all'] }]\n",
            ["dbguard.toml:2: key 'extra': unknown variant `all`", ""],
        ),
    ] {
        let error = error_of(text);
        for part in parts {
            assert!(
                error.contains(part),
                "{text:?}: expected {part:?} in: {error}"
            );
        }
        assert!(!error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn unreadable_files_are_errors() {
    let root = host(&[("etc/dbguard/dbguard.toml/x", "")]);
    let error = Config::read(root.path())
        .expect_err("a directory")
        .to_string();
    assert!(error.contains("dbguard.toml: cannot be read"), "{error}");
    let root = host(&[("etc/dbguard/conf.d", "")]);
    let error = Config::read(root.path()).expect_err("a file").to_string();
    assert!(error.contains("conf.d: cannot be read"), "{error}");
    let root = host(&[]);
    fs::create_dir_all(root.path().join("etc/dbguard")).expect("made");
    fs::write(root.path().join("etc/dbguard/dbguard.toml"), b"\xff\xfe").expect("written");
    let error = Config::read(root.path())
        .expect_err("not UTF-8")
        .to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

proptest! {
    #[test]
    fn never_panics(text: String) {
        let mut config = Config::default();
        let _ = config.add(Path::new("x"), &text);
    }

    #[test]
    fn never_panics_on_nearly_right(text in "(mode|engines|tools|\\[|\\]|=|'|\\n| |é|names|\\{|\\}){0,30}") {
        let mut config = Config::default();
        let _ = config.add(Path::new("x"), &text);
    }
}
