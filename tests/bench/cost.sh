#!/bin/bash
# What operations cost, in one boot of a guest whose clock counts instructions: bare, with empty
# programs on dbguard's hooks, with dbguard armed and thousands of devices in its maps.
set -eu
devices=$1
route=$2
bench=/usr/lib/guest/bin/guest-bench

"$bench" measure bare
"$bench" with-empty /usr/local/bench/empty.bpf.o "$route" empty

systemctl start dbguard.service
# While the host is idle: on an armed one the map is the guard's alone.
"$bench" fill "$devices"
# A critical process that uses no processor time: known by its name, like any database server.
mkdir -p /usr/local/bench
cp /bin/sleep /usr/local/bench/mariadbd
/usr/local/bench/mariadbd 1000000 &
server=$!
for _ in $(seq 100); do
	dbguard status --json >/run/status && grep -q '"state": *"armed"' /run/status && break
	sleep 0.2
done
# Writes are judged until the controller has seen twice that nobody holds a device from before.
for _ in $(seq 100); do
	[ -z "$(ls /sys/fs/bpf/dbguard/links/*/on_demand)" ] && break
	sleep 0.2
done
# Only a guard that refuses is worth measuring.
if { : >/dev/disk/by-role/data; } 2>/dev/null; then
	echo "@refuses no"
else
	echo "@refuses yes"
fi
"$bench" measure dbguard
if { : >/dev/disk/by-role/data; } 2>/dev/null; then
	echo "@refuses no"
fi
kill $server
