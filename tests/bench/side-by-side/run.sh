#!/bin/bash
# One contender: legitimate work first, which needs free disks, then the acts, which use two of them
# up. `run.sh nothing|kernel|apparmor|dbguard`
set -eu
contender=$1

# A careful administrator's profile: whatever the program, no writes to the disks in use, which are
# those of the roles given; all else as it is without a profile.
confine() {
	local disks="" role
	for role in "$@"; do
		disks+="$(basename "$(readlink -f "/dev/disk/by-role/$role")")*,"
	done
	cat >/etc/apparmor.d/disks-in-use <<P
abi <abi/3.0>,
profile disks-in-use /** flags=(attach_disconnected,mediate_deleted) {
  capability,
  network,
  mount,
  remount,
  umount,
  pivot_root,
  signal,
  ptrace,
  unix,
  dbus,
  / rwlk,
  /** rwlkmix,
  deny /dev/{${disks%,}} w,
}
P
	apparmor_parser --replace --skip-cache /etc/apparmor.d/disks-in-use
}

case $contender in
kernel) grep -qw bdev_allow_write_mounted=0 /proc/cmdline ;;
apparmor)
	mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security
	confine root data
	systemctl restart mariadb
	;;
esac
/usr/lib/guest/bin/guest-suite --suite legitimate |
	sed -n 's/^case \([^ ]*\) \(ok\|FAIL\|skip\)\(.*\)/@work \1 \2\3/p' || true
if [ "$contender" = apparmor ]; then
	confine root data spare1 spare2
fi
/usr/lib/guest/bin/guest-compare
