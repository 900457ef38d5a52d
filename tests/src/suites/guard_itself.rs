//! The guard as an object: what would take it away from an armed host is refused, and afterwards a
//! protected disk is still one. What looks at it, works beside it, or replaces it in order, goes on.

use anyhow::{Context, Result, ensure};

use super::fixture::{self, Shared};
use crate::harness::case::Case;
use crate::harness::disk::Disk;
use crate::harness::shell::Script;
use crate::harness::snapshot::Snapshot;
use crate::harness::{audit, guard};
use crate::native::write;

/// Variables of every script here: pins, maps, the controller and its control group.
const VARIABLES: &str = r#"
    PINS=/sys/fs/bpf/dbguard; MAPS=$(ls -d $PINS/maps/*); LINKS=$(ls -d $PINS/links/*)
    map_id() { bpftool -j map show pinned $MAPS/$1 | sed 's/.*"id":\([0-9]*\).*/\1/'; }
    PID=$(systemctl show -P MainPID dbguard)
    GROUP=/sys/fs/cgroup$(systemctl show -P ControlGroup dbguard)
    [ -d "$GROUP" ] || GROUP=/sys/fs/cgroup/unified$(systemctl show -P ControlGroup dbguard)
    # A policy that refuses nothing.
    NOTHING=$(printf '0 %.0s' $(seq $(bpftool -j map show pinned $MAPS/POLICY | sed 's/.*"bytes_value":\([0-9]*\).*/\1/')))
    # Ends with 0 where the command is refused by the guard.
    refused() { local said; said=$("$@" 2>&1) && { echo "SUCCEEDED: $*"; exit 1; }; echo "$said"; }
"#;

/// One attack: every command of its script must be refused.
struct Attack {
    name: &'static str,
    script: &'static str,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "map-update-pinned",
        script: "refused bpftool map update pinned $MAPS/POLICY key 0 0 0 0 value $NOTHING",
    },
    Attack {
        name: "map-update-id",
        script: "refused bpftool map update id $(map_id POLICY) key 0 0 0 0 value $NOTHING",
    },
    Attack {
        name: "map-update-name",
        script: "refused bpftool map update name POLICY key 0 0 0 0 value $NOTHING",
    },
    Attack {
        name: "map-delete",
        script: r"K=$(bpftool -j map dump pinned $MAPS/DEVICES | python3 -c 'import json,sys; e=json.load(sys.stdin)[0]
k=e.get(chr(107)+chr(101)+chr(121)); b=k if isinstance(k,list) else None
import struct
print(*(b if b else [hex(x) for x in struct.pack(chr(60)+chr(73)*2,*k.values())]))')
            refused bpftool map delete pinned $MAPS/DEVICES key $K",
    },
    Attack {
        name: "map-freeze",
        script: "refused bpftool map freeze pinned $MAPS/POLICY; refused bpftool map freeze id $(map_id DEVICES)",
    },
    Attack {
        name: "link-detach",
        script: "for id in $(bpftool -j link show | python3 -c 'import json,sys; print(*[l[\"id\"] for l in json.load(sys.stdin)])'); do \
                 refused bpftool link detach id $id; done",
    },
    Attack {
        name: "pins-unlink",
        script: "refused rm -f $LINKS/file_open; refused rm -f $MAPS/POLICY; refused unlink $LINKS/bpf",
    },
    Attack {
        name: "pins-remove-tree",
        script: "refused rm -rf $PINS; [ $(ls $LINKS | wc -l) -gt 10 ]",
    },
    Attack {
        name: "pins-rename",
        script: "refused mv $PINS /sys/fs/bpf/elsewhere; refused mv $LINKS/file_open /sys/fs/bpf/elsewhere; refused mv -T $LINKS/absent $LINKS/file_open",
    },
    Attack {
        name: "kill",
        script: "for signal in KILL STOP TERM INT QUIT ABRT SEGV USR1 TSTP; do refused kill -$signal $PID; done",
    },
    Attack {
        name: "pins-unmounted",
        script: "refused umount /sys/fs/bpf; refused umount -l /sys/fs/bpf; refused mount --move /sys/fs/bpf /mnt; [ -e $LINKS/file_open ]",
    },
    Attack {
        name: "pins-covered",
        script: "refused mount -t tmpfs none /sys/fs/bpf; refused mount -t bpf bpf /sys/fs/bpf; refused mount --bind /mnt /sys/fs/bpf; \
                 refused mount -t tmpfs none /sys/fs; refused mount -t sysfs none /sys; [ -e $LINKS/file_open ]",
    },
    Attack {
        // As the clean-up of a build whose directory's variable is empty.
        name: "mounts-of-the-host-taken",
        script: "for m in /sys /run /proc /dev; do refused umount -l $m; refused mount -t tmpfs none $m; done; \
                 mkdir -p /mnt/sys; refused mount --move /sys /mnt/sys; \
                 [ -e $LINKS/file_open ] && [ -e /run/systemd/private ] && [ -e /proc/self/exe ] && [ -e /dev/null ]",
    },
    Attack {
        name: "files-covered",
        script: "refused mount --bind /bin/true /usr/sbin/dbguard; refused mount --bind /mnt /etc/dbguard; refused mount -t tmpfs none /var/log/dbguard; dbguard status | grep -q enforce",
    },
    Attack {
        name: "trampolines-off",
        script: "refused sysctl -w kernel.ftrace_enabled=0; refused dd if=/dev/zero of=/proc/sys/kernel/ftrace_enabled bs=1 count=1 status=none",
    },
    Attack {
        name: "pkill",
        script: "refused pkill -9 dbguard; refused pkill -STOP -f '[d]bguard run'; refused killall -9 dbguard",
    },
    Attack {
        name: "strace",
        script: "refused timeout 5 strace -p $PID",
    },
    Attack {
        name: "memory",
        script: r"refused dd if=/dev/zero of=/proc/$PID/mem bs=1 seek=4096 count=1 conv=notrunc
            refused python3 -c 'import ctypes,sys
libc=ctypes.CDLL(None,use_errno=True)
class V(ctypes.Structure): _fields_=[(chr(98),ctypes.c_void_p),(chr(108),ctypes.c_size_t)]
b=ctypes.create_string_buffer(8); l=V(ctypes.addressof(b),8); r=V(4096,8)
n=libc.process_vm_writev(int(sys.argv[1]),ctypes.byref(l),1,ctypes.byref(r),1,0)
sys.exit(1 if n<0 and ctypes.get_errno()==1 else 0)' $PID",
    },
    Attack {
        name: "descriptors",
        script: r#"refused python3 -c 'import ctypes,os,sys
libc=ctypes.CDLL(None,use_errno=True)
p=os.pidfd_open(int(sys.argv[1]))
bad=[f for f in os.listdir("/proc/"+sys.argv[1]+"/fd") if libc.syscall(438,p,int(f),0)>=0 or ctypes.get_errno()!=1]
sys.exit(0 if bad else 1)' $PID"#,
    },
    Attack {
        name: "control-group",
        script: r#"refused sh -c "echo 1 >$GROUP/cgroup.freeze"; refused sh -c "echo 4096 >$GROUP/memory.max"
            [ ! -e $GROUP/cgroup.kill ] || refused sh -c "echo 1 >$GROUP/cgroup.kill"
            refused sh -c "echo 1 >$GROUP/../cgroup.freeze""#,
    },
    Attack {
        name: "program",
        script: "refused rm -f /usr/sbin/dbguard; refused mv /usr/sbin/dbguard /root/x; refused cp --remove-destination /bin/true /usr/sbin/dbguard; \
                 refused ln -f /bin/true /usr/sbin/dbguard; refused sh -c ': >/usr/sbin/dbguard'; refused truncate -s 0 /usr/sbin/dbguard; refused ln /usr/sbin/dbguard /root/x",
    },
    Attack {
        name: "unit",
        script: "refused rm -f /usr/lib/systemd/system/dbguard.service; refused sh -c 'echo >>/usr/lib/systemd/system/dbguard.service'; \
                 refused systemctl disable dbguard; systemctl is-enabled dbguard",
    },
    Attack {
        name: "state",
        script: "refused rm -f /var/lib/dbguard/state; refused sh -c ': >/var/lib/dbguard/state'; refused mv /var/lib/dbguard /root/x; \
                 refused rm -rf /var/lib/dbguard; refused touch /var/lib/dbguard/state.new; refused truncate -s 0 /var/lib/dbguard/state",
    },
    Attack {
        name: "log",
        script: "refused rm -f /var/log/dbguard/audit.jsonl; refused sh -c ': >/var/log/dbguard/audit.jsonl'; \
                 refused sh -c 'echo {} >>/var/log/dbguard/audit.jsonl'; refused mv /var/log/dbguard /root/x; refused ln /var/log/dbguard/audit.jsonl /root/x",
    },
    Attack {
        name: "socket",
        script: "refused rm -f /run/dbguard/control.sock; refused rm -rf /run/dbguard; refused mv /run/dbguard/control.sock /run/x",
    },
];

/// What a package does: another file is put in the program's place by rename.
const UPGRADE: &str = r"
    D=/root/package; rm -rf $D; mkdir -p $D/DEBIAN $D/usr/sbin; cp /usr/sbin/dbguard $D/usr/sbin/dbguard
    printf 'Package: dbguard-guest\nVersion: 9.%s\nArchitecture: amd64\nMaintainer: guest\nDescription: upgrade\n' $RANDOM >$D/DEBIAN/control
    dpkg-deb -b -Znone $D /root/dbguard.deb >/dev/null || exit 1
    OLD=$(stat -c %i /usr/sbin/dbguard); dpkg -i /root/dbguard.deb || exit 1
    [ $OLD != $(stat -c %i /usr/sbin/dbguard) ] || exit 1
    systemctl restart dbguard && sleep 1 && systemctl is-active dbguard";
/// The same while no controller lives to see it.
const UPGRADE_WITHOUT_CONTROLLER: &str = r"
    systemctl stop dbguard
    OLD=$(stat -c %i /usr/sbin/dbguard); dpkg -i /root/dbguard.deb || exit 1
    [ $OLD != $(stat -c %i /usr/sbin/dbguard) ] || exit 1
    systemctl start dbguard && systemctl is-active dbguard";

/// One legitimate act: its script must succeed, and nothing may be refused meanwhile.
const WORK: &[Attack] = &[
    Attack {
        name: "bpftool-looks",
        script: "bpftool prog show >/dev/null && bpftool map show | grep -q POLICY && bpftool link show >/dev/null && \
                 bpftool map dump pinned $MAPS/POLICY >/dev/null && bpftool map dump id $(map_id DEVICES) >/dev/null && bpftool prog dump xlated name file_open >/dev/null",
    },
    Attack {
        name: "maps-of-others",
        script: "bpftool map create /sys/fs/bpf/others type hash key 4 value 4 entries 4 name others && \
                 bpftool map update pinned /sys/fs/bpf/others key 0 0 0 0 value 1 0 0 0 && bpftool map update name others key 1 0 0 0 value 1 0 0 0 && \
                 bpftool map delete pinned /sys/fs/bpf/others key 0 0 0 0 && bpftool map freeze pinned /sys/fs/bpf/others && \
                 mkdir /sys/fs/bpf/agent && mv /sys/fs/bpf/others /sys/fs/bpf/agent/x && rm -r /sys/fs/bpf/agent",
    },
    Attack {
        name: "processes-are-seen",
        script: "ps -o pid,comm,args -p $PID | grep -q dbguard && cat /proc/$PID/status /proc/$PID/maps >/dev/null && ls -l /proc/$PID/fd >/dev/null && lsof -p $PID >/dev/null && kill -0 $PID",
    },
    Attack {
        name: "commands",
        script: "dbguard status && dbguard devices >/dev/null && dbguard config check && dbguard config show >/dev/null && dbguard audit tail >/dev/null && \
                 setpriv --reuid 65534 --clear-groups dbguard status && timeout -s TERM 20 dbguard devices >/dev/null",
    },
    Attack {
        name: "a-command-can-be-ended",
        script: "strace -o /dev/null dbguard status >/dev/null || exit 1; \
                 for i in 1 2 3 4 5 6; do timeout -s KILL 0.0$i dbguard devices >/dev/null; [ $? = 137 ] && exit 0; done; exit 1",
    },
    Attack {
        name: "reload-stop-start-restart",
        script: "systemctl reload dbguard && systemctl stop dbguard && systemctl start dbguard && systemctl restart dbguard && \
                 systemctl kill -s KILL dbguard && sleep 1 && \
                 for i in $(seq 100); do systemctl -q is-active dbguard && exit 0; sleep 0.2; done; systemctl is-active dbguard",
    },
    Attack {
        name: "daemon-reexec",
        script: "systemctl daemon-reload && systemctl daemon-reexec && systemctl restart dbguard",
    },
    Attack {
        name: "bpf-of-others",
        script: "systemd-run -q --wait -p IPAddressDeny=any -p IPAddressAllow=localhost -p DevicePolicy=closed -p DeviceAllow=/dev/null true && \
                 systemd-run -q --wait -p RestrictFileSystems=~fuse true",
    },
    Attack {
        name: "processes-of-others",
        script: "sleep 30 & P=$!; timeout 2 strace -o /dev/null -p $P; [ $? = 124 ] && dd if=/proc/$P/mem of=/dev/null bs=1 count=0 && kill -STOP $P && kill -9 $P",
    },
    Attack {
        name: "upgrade",
        script: UPGRADE,
    },
    Attack {
        name: "upgrade-without-controller",
        script: UPGRADE_WITHOUT_CONTROLLER,
    },
    Attack {
        name: "unload-waits-for-release",
        script: "systemctl stop dbguard; said=$(dbguard unload --confirm-host $(uname -n) 2>&1) && exit 1; echo \"$said\"; \
                 echo \"$said\" | grep -q 'the host is armed' && systemctl start dbguard",
    },
    Attack {
        name: "configuration-is-written",
        script: "cp /etc/dbguard/dbguard.toml /root/toml && echo '# a word' >>/etc/dbguard/dbguard.toml && systemctl reload dbguard && \
                 cp /root/toml /etc/dbguard/new && mv /etc/dbguard/new /etc/dbguard/dbguard.toml && systemctl reload dbguard",
    },
];

/// The cases.
pub fn cases() -> Vec<Case> {
    let shared: Shared<Disk> = Shared::default();
    let mut cases = vec![{
        let shared = shared.clone();
        Case::prepare("prepare", move || {
            guard::must_be_armed()?;
            fixture::load_modules()?;
            let disk = fixture::memory_disk("itself", 48)?;
            guard::mark_device(&disk.node)?;
            shared.set(disk);
            Ok(())
        })
    }];
    for attack in ATTACKS {
        let shared = shared.clone();
        cases.push(Case::test(attack.name, move || attacked(attack, &shared.get()?)).limit(120));
    }
    for work in WORK {
        let shared = shared.clone();
        cases.push(
            Case::test(format!("allowed-{}", work.name), move || {
                done(work, &shared.get()?)
            })
            .limit(150)
            .once(),
        );
    }
    cases
}

fn attacked(attack: &Attack, disk: &Disk) -> Result<()> {
    let mark = audit::mark();
    let script = format!("{VARIABLES}\n{}\n", attack.script);
    let output = Script::new(&script).limit(60).run()?;
    ensure!(output.succeeded(), "THE ACT SUCCEEDED: {}", output.tail());
    let record = audit::wait(mark, "a refused attack on the guard", |record| {
        record.is_refusal_since(mark) && record.text("/op") == "guard"
    })?;
    ensure!(
        record.text("/reason") == "guard-itself",
        "the reason is {}",
        record.text("/reason")
    );
    still_guards(disk)
}

fn done(work: &Attack, disk: &Disk) -> Result<()> {
    let mark = audit::mark();
    let script = format!("{VARIABLES}\n{}\n", work.script);
    let output = Script::new(&script).limit(90).run()?;
    ensure!(output.succeeded(), "it FAILED: {}", output.text.trim_end());
    guard::start_controller()?;
    audit::nothing_refused(mark)?;
    still_guards(disk)
}

/// A wipe is refused, and the guard says that it is whole.
fn still_guards(disk: &Disk) -> Result<()> {
    let before = Snapshot::take(disk)?;
    ensure!(
        write::pwrite(&disk.node).is_err(),
        "a wipe SUCCEEDED afterwards"
    );
    before.unchanged()?;
    let status = guard::cli("status")?;
    ensure!(
        status.succeeded(),
        "status ended with {:?}: {}",
        status.code,
        status.text
    );
    guard::must_be_armed().context("afterwards")
}
