#!/bin/bash
# What the controller itself takes: time to start, memory, wake-ups. The disks are RAM disks, real
# block devices, so that the scan of sysfs is the real one.
set -eu
devices=$1
idle=$2

now() { echo $(($(date +%s%N) / 1000000)); }
# Of all threads of the controller: how often one of them went to sleep, which is how often it woke.
wakeups() {
	awk '/^voluntary_ctxt_switches/ { sum += $2 } END { print sum }' /proc/"$pid"/task/*/status
}

# An emulated guest on a busy machine takes its time.
mkdir -p /run/systemd/system/dbguard.service.d
printf '[Service]\nTimeoutStartSec=600\n' >/run/systemd/system/dbguard.service.d/patience.conf
systemctl daemon-reload
from=$(now)
systemctl start dbguard.service
echo "@start_ms $(($(now) - from))"
systemctl stop dbguard.service

# Without udev's workers in between; the controller gets the kernel's own events.
systemctl stop systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udevd.service
modprobe brd rd_nr="$devices" rd_size=4096
echo "@block_devices $(find /sys/class/block/ -type l | wc -l)"
mkdir -p /usr/local/bench
# A server of a kind that has no files to wait for; others are looked at again for five minutes.
mkdir -p /etc/dbguard/conf.d
printf '[engines]\nnames = ["benchdb"]\n' >/etc/dbguard/conf.d/bench.toml
cp /bin/sleep /usr/local/bench/benchdb
mkdir -p /var/lib/benchdb
/usr/local/bench/benchdb 1000000 9>/var/lib/benchdb/data &
from=$(now)
systemctl start dbguard.service
echo "@restart_ms $(($(now) - from))"
pid=$(systemctl show --property=MainPID --value dbguard.service)
# The start is over when nothing has woken it for ten seconds, on a busy machine some time later.
for _ in 1 2 3 4 5 6; do
	before=$(wakeups)
	sleep 10
	[ "$(wakeups)" != "$before" ] || break
done
dbguard status --json | tr -d '\n' | sed 's/^/@status /'
echo
sleep 2
before=$(wakeups)
sleep "$idle"
echo "@wakeups $(($(wakeups) - before))"
awk '/^VmRSS/ { print "@rss_kib", $2 } /^VmHWM/ { print "@peak_kib", $2 } /^RssAnon/ { print "@anon_kib", $2 }' \
	/proc/"$pid"/status
