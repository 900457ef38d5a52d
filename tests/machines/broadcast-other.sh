# Any other machine that the same files are sent to: refused for the reason in $1, and nothing changes.
set -eu
# shellcheck source=lib.sh
. /usr/local/machines/lib.sh
cd /usr/local/machines
accept signers
prepare
status=0
dbguard override apply r.txt r.txt.sig >/run/said 2>&1 || status=$?
cat /run/said
[ $status = 77 ]
grep -qF "$1" /run/said
dbguard override list >/run/list 2>&1 || true
refused grep -q 'open for' /run/list
refused wipe 2>/dev/null
refused dbguard exec --grant G-1 -- dd if=/dev/zero of=$disk bs=64k count=16 conv=fsync
[ "$(bytes)" = "$sum" ]
