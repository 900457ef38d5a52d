//! The text of `/proc/PID/maps` and `/proc/PID/fdinfo/N` (proc_pid_maps(5), proc_pid_fdinfo(5)).

/// A shared mapping of something that has a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedMapping {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// It is writable now.
    pub writable: bool,
    /// As the kernel prints it.
    pub path: String,
}

/// One line of `maps`; `None` for private mappings, and for those without a path.
pub(super) fn shared_mapping(line: &str) -> Option<SharedMapping> {
    // start-end perms offset dev inode path
    let (range, rest) = line.split_once(' ')?;
    let (permissions, rest) = rest.split_once(' ')?;
    let permissions = permissions.as_bytes();
    if permissions.get(3) != Some(&b's') {
        return None;
    }
    let path = rest
        .splitn(4, ' ')
        .nth(3)
        .map(str::trim_start)
        .filter(|path| !path.is_empty())?;
    let (start, end) = range.split_once('-')?;
    Some(SharedMapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        writable: permissions.get(1) == Some(&b'w'),
        path: path.to_owned(),
    })
}

/// Descriptors that wait in the queue of a unix socket: `scm_fds`, Linux 5.6 and later
/// (net/unix/af_unix.c `unix_show_fdinfo`).
pub(super) fn in_flight(fdinfo: &str) -> u32 {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("scm_fds:")?.trim().parse().ok())
        .unwrap_or(0)
}

/// Whether this socket is of datagrams and has no name, by `/proc/PID/net/unix` (net/unix/af_unix.c
/// `unix_seq_show`): number, references, protocol, flags, type, state, inode, and the name.
pub(super) fn is_nameless_datagram(table: &str, inode: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words[..], [_, _, _, _, "0002", _, own] if own == inode)
    })
}

/// The files that are registered with an io_uring (io_uring/fdinfo.c): how many places there are,
/// and the names of those that the kernel lists. While the ring is busy it lists none.
pub(super) fn registered(fdinfo: &str) -> (u32, Vec<(u32, String)>) {
    let mut lines = fdinfo.lines();
    let places = lines
        .find_map(|line| line.strip_prefix("UserFiles:"))
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0);
    let named = lines
        .map_while(|line| {
            let (slot, name) = line.split_once(':')?;
            Some((slot.trim().parse().ok()?, name.trim().to_owned()))
        })
        .collect();
    (places, named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_mappings_with_a_path() {
        assert_eq!(
            shared_mapping(
                "7f0a1000-7f0a2000 rw-s 00000000 00:05 123                        /dev/sd b"
            ),
            Some(SharedMapping {
                start: 0x7f0a_1000,
                end: 0x7f0a_2000,
                writable: true,
                path: "/dev/sd b".into()
            })
        );
        for other in [
            "7f0a1000-7f0a2000 rw-p 00000000 00:05 123   /dev/sdb",
            "7f0a1000-7f0a2000 rw-s 00000000 00:05 123 ",
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
            "",
            "x",
        ] {
            assert_eq!(shared_mapping(other), None, "{other:?}");
        }
    }

    #[test]
    fn queues_and_rings() {
        assert_eq!(in_flight("pos:\t0\nflags:\t02\nscm_fds: 3\n"), 3);
        assert_eq!(in_flight("pos:\t0\nflags:\t02\n"), 0);
    }

    #[test]
    fn sockets_without_a_name() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
             00000000fd24acd9: 00000003 00000000 00000000 0002 03  3412\n\
             00000000fd24acda: 00000003 00000000 00000000 0002 01  3413 /run/systemd/notify\n\
             00000000fd24acdb: 00000003 00000000 00000000 0001 03  3414\n";
        let nameless =
            ["3412", "3413", "3414", "341"].map(|inode| is_nameless_datagram(table, inode));
        assert_eq!(nameless, [true, false, false, false]);
        let ring = "pos:\t0\nSqThread:\t-1\nUserFiles:\t3\n    0: sda\n    1: <none>\n    2: /dev/x y\nUserBufs:\t0\n";
        let named = vec![
            (0, "sda".to_owned()),
            (1, "<none>".to_owned()),
            (2, "/dev/x y".to_owned()),
        ];
        assert_eq!(registered(ring), (3, named));
        assert_eq!(registered("UserFiles:\t2\nUserBufs:\t0\n"), (2, Vec::new()));
        assert_eq!(registered("pos:\t0\n"), (0, Vec::new()));
    }
}
