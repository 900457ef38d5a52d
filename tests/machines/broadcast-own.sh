# The machine that makes the request: its token is sent to the others, and opens one wipe here.
set -eu
# shellcheck source=lib.sh
. /usr/local/machines/lib.sh
mkdir -p $laptop
cd $laptop
signers alice
accept signers
prepare
dbguard override request --device $disk --op raw-write --incident INC-1 --reason "failed disk" >r.txt
ssh-keygen -q -Y sign -f alice -n override@dbguard r.txt
for file in signers r.txt r.txt.sig; do
	send $file
done
dbguard override apply r.txt r.txt.sig | tee applied
grant=$(sed -n 's/^\(G-[0-9]*\) is open.*/\1/p' applied)
dbguard exec --grant "$grant" -- dd if=/dev/zero of=$disk bs=64k count=16 conv=fsync
[ "$(bytes)" != "$sum" ]
sum=$(bytes)
refused dbguard exec --grant "$grant" -- dd if=/dev/urandom of=$disk bs=64k count=16 conv=fsync
[ "$(bytes)" = "$sum" ]
