//! The same acts from inside other namespaces and containers.

use super::Act;

/// A root directory with busybox in it, and the node of the device: what an image would hold.
/// Device nodes work in it, because it lies on a file system that is mounted without `nodev`.
pub const MAKE_ROOT: &str = "
    set -e
    R=/root/guest-suite/container
    mkdir -p $R; (cd $R; mkdir -p bin dev proc sys tmp etc usr root)
    cp /bin/busybox $R/bin/busybox
    for tool in sh dd cat ls; do ln -sf busybox $R/bin/$tool; done
    : >$R/etc/os-release
    cp /root/guest-suite/junk64k $R/root/junk
";

/// Acts from namespaces.
pub const ACTS: &[Act] = &[
    Act::shell(
        "mount-namespace",
        "unshare --mount --propagation private sh -c \
         'mount -t tmpfs none /mnt && cat $DIR/junk64k >$DEV && sync $DEV'",
    ),
    Act::shell(
        "pid-mount-chroot",
        "R=/root/guest-suite/container; rm -f $R/dev/target; \
         mknod $R/dev/target b $(stat -c '0x%t 0x%T' $DEV); \
         unshare --mount --pid --uts --ipc --net --fork chroot $R \
         /bin/busybox dd if=/root/junk of=/dev/target bs=64k conv=fsync",
    ),
    Act::shell(
        "user-namespace",
        "unshare --user --map-root-user --mount dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync",
    ),
    Act::shell(
        "cgroup-namespace",
        "mkdir -p /sys/fs/cgroup/hostile && \
         (echo 0 >/sys/fs/cgroup/hostile/cgroup.procs && \
          unshare --cgroup dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync); r=$?; \
         rmdir /sys/fs/cgroup/hostile; exit $r",
    ),
    Act::shell(
        "nspawn",
        "R=/root/guest-suite/container; systemd-nspawn -q --register=no --keep-unit -D $R \
         --bind=$DEV:/dev/target --capability=all --as-pid2 \
         /bin/busybox dd if=/root/junk of=/dev/target bs=64k conv=fsync",
    ),
    Act::shell(
        "crun-privileged",
        "R=/root/guest-suite/bundle; mkdir -p $R; cd $R; rm -f config.json; crun spec; \
         python3 - $DEV <<'PY'\n\
import json, os, sys\n\
spec = json.load(open('config.json'))\n\
caps = ['CAP_SYS_ADMIN','CAP_SYS_RAWIO','CAP_MKNOD','CAP_DAC_OVERRIDE','CAP_CHOWN','CAP_FOWNER']\n\
node = os.stat(sys.argv[1])\n\
spec['root'] = {'path': '/root/guest-suite/container', 'readonly': False}\n\
spec['process']['terminal'] = False\n\
spec['process']['args'] = ['/bin/busybox','dd','if=/root/junk','of=/dev/target','bs=64k','conv=fsync']\n\
spec['process']['capabilities'] = {k: caps for k in ('bounding','effective','permitted')}\n\
spec['linux']['devices'] = [{'path':'/dev/target','type':'b','major':os.major(node.st_rdev),\
'minor':os.minor(node.st_rdev),'fileMode':0o660,'uid':0,'gid':0}]\n\
spec['linux'].setdefault('resources', {})['devices'] = [{'allow': True, 'access': 'rwm'}]\n\
json.dump(spec, open('config.json','w'))\n\
PY\n\
         crun --cgroup-manager=cgroupfs run hostile-$$",
    )
    .limit(60),
    Act::shell(
        "setpriv-no-caps",
        "setpriv --bounding-set -all --inh-caps -all --no-new-privs \
         dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync",
    ),
    Act::shell(
        "another-user-in-disk-group",
        "setpriv --reuid 65534 --regid 6 --clear-groups busybox dd if=/dev/zero of=$DEV bs=64k \
         count=1 conv=fsync",
    ),
    Act::shell(
        "systemd-run",
        "systemd-run --quiet --wait --collect -p PrivateTmp=yes \
         dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync",
    )
    .limit(60),
    Act::shell(
        "nsenter-init",
        "nsenter --target 1 --all dd if=$DIR/junk64k of=$DEV bs=64k conv=fsync",
    ),
    Act::shell(
        "renamed-tool",
        "cp $(command -v dd) $DIR/lvextend && $DIR/lvextend if=$DIR/junk64k of=$DEV bs=64k conv=fsync",
    ),
    Act::shell(
        "renamed-database",
        "cp $(command -v dd) $DIR/notes && bash -c 'exec -a mariadbd $DIR/notes if=$DIR/junk64k of=$DEV bs=64k conv=fsync'",
    ),
];
