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

# What breaking the glass adds to a refusal: nothing is open; the device is another's grant's; the
# process runs under another grant than the device's; it runs under the device's own, which does not
# open what it does; and under one that has ended, which is the whole check. Each beside a refusal by
# the same process of a device that no grant is about: what a refusal tells costs more the more
# ancestors its process has.
laptop=/run/laptop
mkdir -p $laptop /etc/dbguard/allowed_signers.d /etc/dbguard/conf.d
cd $laptop
ssh-keygen -q -t ed25519 -N '' -f key
echo "bench namespaces=\"override@dbguard\" $(cut -d' ' -f1,2 key.pub)" >/etc/dbguard/allowed_signers.d/bench
printf '[override]\nsoftware_keys = ["bench"]\n' >/etc/dbguard/conf.d/bench.toml
dbguard config apply --confirm-host "$(uname -n)" >/dev/null
modprobe null_blk nr_devices=5
udevadm settle
for device in /dev/nullb[0-4]; do
	dbguard mark --device "$device" >/dev/null
done
# DEVICE OP [OPTION...]: opens a grant, whose id is in `grant` then.
open_grant() {
	rm -f r.txt.sig
	dbguard override request --device "$1" --op "$2" "${@:3}" --incident BENCH --reason bench >r.txt 2>/dev/null
	ssh-keygen -q -Y sign -f key -n override@dbguard r.txt 2>/dev/null
	before=$(date +%s%N)
	dbguard override apply r.txt r.txt.sig >applied
	after=$(date +%s%N)
	echo "@apply_ns $((after - before))"
	grant=$(sed -n 's/^\(G-[0-9]*\) is open.*/\1/p' applied)
}
# DEVICE NAME: what a refusal of it takes, and one of a device that no grant is about.
refused='"$1" refused /dev/nullb4 "$3_base"; "$1" refused "$2" "$3"'
open_grant /dev/nullb0 raw-write
sh -ec "$refused" sh "$bench" /dev/nullb0 refused_of_a_grant
open_grant /dev/nullb1 raw-write
dbguard exec --grant "$grant" -- sh -ec "$refused" sh "$bench" /dev/nullb0 refused_under_another
open_grant /dev/nullb2 detach
dbguard exec --grant "$grant" -- sh -ec "$refused" sh "$bench" /dev/nullb2 refused_other_class
open_grant /dev/nullb3 raw-write --minutes 1
# Without its controller the kernel half alone says that the time is over.
ended="systemctl kill --signal=KILL dbguard.service; systemctl stop dbguard.service; sleep 60; $refused"
dbguard exec --grant "$grant" -- sh -ec "$ended" sh "$bench" /dev/nullb3 refused_ended
kill $server
