# A kernel that rescues this machine is refused, then staged and started by two people's signatures.
set -eu
# shellcheck source=lib.sh
. /usr/local/machines/lib.sh
mkdir -p $laptop/system/bin
cd $laptop
signers alice bob
accept signers

# A system of one program, which says that it is there.
cp /bin/busybox system/bin/
cat >system/init <<'INIT'
#!/bin/busybox sh
/bin/busybox mkdir -p /dev
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox echo "@rescued by $(/bin/busybox uname -r)" >/dev/console
/bin/busybox poweroff -f
INIT
chmod 755 system/init
(cd system && find . | cpio --quiet -o -H newc) >system.cpio

kernel=/boot/vmlinuz-$(uname -r)
[ -e "$kernel" ] || kernel=$(echo /boot/vmlinuz*)
stage="kexec -l $kernel --initrd=$laptop/system.cpio --reuse-cmdline"
refused $stage
refused kexec -e -x
dbguard override request --host --op kexec --incident INC-1 --reason "root file system is damaged" >r.txt
for who in alice bob; do
	ssh-keygen -q -Y sign -f $who -n override@dbguard r.txt
	mv r.txt.sig $who.sig
done
dbguard override apply r.txt alice.sig bob.sig | tee applied
grant=$(sed -n 's/^\(G-[0-9]*\) is open.*/\1/p' applied)
dbguard exec --grant "$grant" -- sh -ec "$stage; sync; kexec -e -x"
echo "the staged kernel did not start"
