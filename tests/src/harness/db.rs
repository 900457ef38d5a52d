//! The guest's MariaDB: a table whose checksum must never change, and a question it must always
//! answer.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::disk::until;
use super::{question, shell};

/// Makes the table, once.
pub fn prepare() -> Result<()> {
    shell::must(
        "mariadb -e 'CREATE DATABASE IF NOT EXISTS guard_test; \
         CREATE TABLE IF NOT EXISTS guard_test.t (id INT PRIMARY KEY, v VARCHAR(200)); \
         INSERT IGNORE INTO guard_test.t \
         SELECT seq, REPEAT(MD5(seq), 6) FROM guard_test.seq_1_to_1000'",
    )
    .context("making the test table")?;
    let rows = query("SELECT COUNT(*) FROM guard_test.t")?;
    ensure!(rows == "1000", "the test table has {rows} rows, not 1000");
    Ok(())
}

/// One answer of the server.
pub fn query(sql: &str) -> Result<String> {
    let text = shell::Script::new("mariadb -N -B -e \"$SQL\"")
        .with("SQL", sql)
        .must()?;
    Ok(text.trim().to_owned())
}

/// The table's checksum, read by the server.
pub fn checksum() -> Result<String> {
    query("CHECKSUM TABLE guard_test.t EXTENDED")
}

/// True where the server answers.
pub fn answers() -> bool {
    question::ask().is_ok()
}

/// Waits until the server answers.
pub fn wait() -> Result<()> {
    until(Duration::from_secs(90), || Ok(answers())).context("MariaDB does not answer")
}

/// Starts the service and waits.
pub fn start() -> Result<()> {
    shell::Script::new("systemctl start mariadb.service")
        .limit(120)
        .must()?;
    wait()
}

/// Stops the service.
pub fn stop() -> Result<()> {
    shell::Script::new("systemctl stop mariadb.service")
        .limit(60)
        .must()
        .map(drop)
}

/// Process id of the server.
pub fn pid() -> Result<u32> {
    let text = shell::must("systemctl show -P MainPID mariadb.service")?;
    let pid = text.trim().parse().context("MainPID is not a number")?;
    ensure!(pid != 0, "MariaDB does not run");
    Ok(pid)
}
