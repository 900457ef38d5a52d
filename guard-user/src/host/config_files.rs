//! Where a server's configuration says its data is. Evidence for the moment before it has opened
//! anything; what it opens counts more.

use std::path::{Path, PathBuf};

use super::exe::inside;

/// `!includedir` in an included file in an included file.
const INCLUDE_DEPTH: u32 = 4;
/// Files are a few kilobytes; a data file named by mistake is not read to its end.
const FILE_LIMIT: u64 = 256 * 1024;

/// Options of MariaDB and MySQL that name a directory, or a file in one, with data.
const MYSQL_KEYS: &[&str] = &[
    "datadir",
    "innodb_data_home_dir",
    "innodb_log_group_home_dir",
    "innodb_undo_directory",
    "innodb_directories",
    "aria_log_dir_path",
    "log_bin",
    "log_bin_basename",
    "relay_log",
];

/// A setting: key with underscores, and value.
pub(super) type Setting = (String, String);

/// Settings of the server's groups in its option files, in the order in which they apply.
pub(super) fn mysql(root: &Path, arguments: &[String]) -> Vec<Setting> {
    let argument = |name: &str| arguments.iter().find_map(|text| text.strip_prefix(name));
    let mut files: Vec<PathBuf> = Vec::new();
    if let Some(only) = argument("--defaults-file=") {
        files.push(only.into());
    } else if !arguments.iter().any(|text| text == "--no-defaults") {
        files.extend(["/etc/my.cnf".into(), "/etc/mysql/my.cnf".into()]);
        files.extend(argument("--defaults-extra-file=").map(PathBuf::from));
    }
    let mut settings = Vec::new();
    for file in files {
        read_mysql(root, &file, INCLUDE_DEPTH, &mut settings);
    }
    for text in arguments {
        if let Some((key, value)) = text
            .strip_prefix("--")
            .and_then(|text| text.split_once('='))
        {
            push_mysql(key, value, &mut settings);
        }
    }
    settings
}

fn push_mysql(key: &str, value: &str, settings: &mut Vec<Setting>) {
    let key = key.trim().replace('-', "_").to_ascii_lowercase();
    let value = value.trim().trim_matches(['"', '\'']);
    if MYSQL_KEYS.contains(&key.as_str()) && !value.is_empty() {
        settings.push((key, value.to_owned()));
    }
}

fn is_server_group(name: &str) -> bool {
    let version = |stem: &str| {
        name.strip_prefix(stem)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    matches!(name, "mysqld" | "mariadbd" | "mariadb" | "server")
        || version("mysqld")
        || version("mariadbd")
        || version("mariadb")
}

fn read_mysql(root: &Path, file: &Path, depth: u32, settings: &mut Vec<Setting>) {
    let Some(text) = read_limited(&inside(root, &super::resolve_in_root(root, file))) else {
        return;
    };
    let mut ours = false;
    for line in text.lines().map(str::trim) {
        if let Some(group) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            ours = is_server_group(group.trim());
        } else if let Some(include) = line.strip_prefix('!') {
            if depth > 0 {
                include_mysql(root, include, depth - 1, settings);
            }
        } else if ours && let Some((key, value)) = line.split_once('=') {
            push_mysql(key, value.split('#').next().unwrap_or(""), settings);
        }
    }
}

fn include_mysql(root: &Path, include: &str, depth: u32, settings: &mut Vec<Setting>) {
    if let Some(dir) = include.strip_prefix("includedir") {
        let dir = super::resolve_in_root(root, Path::new(dir.trim()));
        let entries = std::fs::read_dir(inside(root, &dir))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            if Path::new(&name)
                .extension()
                .is_some_and(|extension| extension == "cnf")
            {
                read_mysql(root, &dir.join(&name), depth, settings);
            }
        }
    } else if let Some(file) = include.strip_prefix("include") {
        read_mysql(root, Path::new(file.trim()), depth, settings);
    }
}

/// `data_directory` of a `postgresql.conf`.
pub(super) fn postgres_data_directory(root: &Path, file: &Path) -> Option<PathBuf> {
    let text = read_limited(&inside(root, &super::resolve_in_root(root, file)))?;
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("data_directory"))
        .filter_map(|rest| rest.trim_start().strip_prefix('='))
        .filter_map(|value| value.trim().strip_prefix('\'')?.split('\'').next())
        .next_back()
        .map(PathBuf::from)
}

fn read_limited(path: &Path) -> Option<String> {
    use std::io::Read;
    // A FIFO in place of a configuration file must not stop the controller.
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .ok()?
        .take(FILE_LIMIT)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_files_are_read_with_includes_and_groups() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("etc/mysql/conf.d")).unwrap();
        std::fs::write(
            root.join("etc/mysql/my.cnf"),
            "[client]\ndatadir=/no\n[mysqld]\ndatadir = /first\n!includedir /etc/mysql/conf.d/\n",
        )
        .unwrap();
        std::fs::write(
            root.join("etc/mysql/conf.d/50.cnf"),
            "[mariadb-10.11]\ndatadir=\"/second\" # why\ninnodb-log-group-home-dir=/redo\n",
        )
        .unwrap();
        std::fs::write(
            root.join("etc/mysql/conf.d/README"),
            "[mysqld]\ndatadir=/no\n",
        )
        .unwrap();
        let found = mysql(
            root,
            &["--log-bin=/binlog/b".to_owned(), "--port=3306".to_owned()],
        );
        let expected = [
            ("datadir", "/first"),
            ("datadir", "/second"),
            ("innodb_log_group_home_dir", "/redo"),
            ("log_bin", "/binlog/b"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(mysql(root, &["--no-defaults".to_owned()]), []);
    }

    #[test]
    fn postgres_data_directory_is_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("c"),
            "#data_directory = '/no'\ndata_directory = '/pg/main'\t# use\nport = 1\n",
        )
        .unwrap();
        let found = postgres_data_directory(dir.path(), Path::new("/c"));
        assert_eq!(found.as_deref(), Some(Path::new("/pg/main")));
    }
}
