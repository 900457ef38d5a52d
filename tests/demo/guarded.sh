#!/bin/bash
# Act two: the same mistake, the same script, with dbguard installed.
. /usr/local/demo/lib.sh

# A client that asks all along: one connection, a question every half second. Each answer is
# written down with the time it came.
answers=/run/demo-answers
asked=/run/demo-asked
keep_asking() {
	(
		while [ -e /run/demo-asking ]; do
			echo "SELECT COUNT(*), SUM(cents) FROM shop.orders;"
			echo >>$asked
			sleep 0.5
		done
	) | mariadb --unbuffered --batch --skip-column-names | while read -r count sum; do
		printf '%s %s %s\n' "$(date +%s%N)" "$count" "$sum"
	done >$answers
}

fill_database
fill_backup_disk
fact backup_made $?
make_installer_image
fact script "$(sha256sum /usr/local/demo/perform_upgrade | cut -c1-16)"
show "mariadb --table -e 'SELECT COUNT(*) AS orders, SUM(cents) AS cents FROM shop.orders; CHECKSUM TABLE shop.orders'"
fact checksum_before "$(table_checksum)"
fact disk_before "$(disk_fingerprint)"
fact data_before "$(data_fingerprint)"
say "The data disk needs no telling: the server runs on it. The backup disk is marked by hand."
marked=0
show "dbguard mark --device $backup" || marked=$?
fact mark_status $marked
show "dbguard status"
fact status_before $?
dbguard status --json | tr -d '\n' | sed 's/^/@status /'
echo
checked=0
show "dbguard check --for raw-write $disk" || checked=$?
fact check_status $checked

before=$(dbguard audit tail -n 1 --json | sed -n 's/.*"seq":\([0-9]*\).*/\1/p' | head -n 1)
fact seq_before "${before:-0}"
: >$asked
touch /run/demo-asking
keep_asking &
client=$!
sleep 2

explain_the_mistake
fact upgrade_from "$(date +%s%N)"
show_at_terminal "$mistake"
fact upgrade_status $?
fact upgrade_until "$(date +%s%N)"
sed 's/^/@step /' /var/log/perform_upgrade.log

sleep 2
rm /run/demo-asking
wait $client
fact asked "$(wc -l <$asked)"
sed 's/^/@answer /' $answers
fact checksum_after "$(table_checksum)"
fact disk_after "$(disk_fingerprint)"
show "mariadb --table -e 'SELECT COUNT(*) AS orders, SUM(cents) AS cents FROM shop.orders; CHECKSUM TABLE shop.orders'"
show "lsblk --noheadings --output NAME,SIZE,FSTYPE,LABEL,MOUNTPOINT $disk $backup"

say "What dbguard wrote down:"
show "dbguard audit tail -n 8"
dbguard audit tail -n 400 --json | sed 's/^/@audit /'
event=$(dbguard audit tail -n 400 --json | grep '"decision":"deny".*"op":"raw-write"' |
	sed -n 's/.*"event":"\([^"]*\)".*/\1/p' | tail -n 1)
explained=0
show "dbguard why $event" || explained=$?
fact why_status $explained

say "Afterwards the backup disk does have to be made anew. Somebody else signs that, with a key of
their own, on their own machine: this act, on this disk, once."
people_who_sign
fact backup_before "$(backup_fingerprint)"
show "wipefs --all $backup"
event=$(dbguard audit tail -n 400 --json | grep '"decision":"deny".*"op":"raw-write"' |
	sed -n 's/.*"event":"\([^"]*\)".*/\1/p' | tail -n 1)
show "dbguard override request $event --incident INC-4242 --reason 'new backup disk' >r.txt"
show_elsewhere "ssh-keygen -Y sign -f alice -n override@dbguard r.txt"
show "dbguard override apply r.txt r.txt.sig | tee applied"
grant=$(sed -n 's/^\(G-[0-9]*\) is open.*/\1/p' applied)
opened=0
show "dbguard exec --grant $grant -- sh -c 'wipefs --all $backup; wipefs --all --force $disk'" || opened=$?
fact both_status $opened
fact backup_after "$(backup_fingerprint)"
again=0
show "dbguard exec --grant $grant -- mkfs.ext4 -q -F $backup" || again=$?
fact again_status $again
fact backup_again "$(backup_fingerprint)"
fact data_after "$(data_fingerprint)"
fact checksum_glass "$(table_checksum)"
show "dbguard audit tail -n 6"
show "dbguard status"
fact status_after $?
fact uptime "$(cut -d. -f1 /proc/uptime)"
