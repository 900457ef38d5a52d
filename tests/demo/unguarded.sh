#!/bin/bash
# Act one: the mistake on a database machine without dbguard.
. /usr/local/demo/lib.sh
export PROVISION_NO_RESTART=1 # the damage is to be looked at before the machine restarts

fill_database
fill_backup_disk
fact backup_made $?
make_installer_image
fact script "$(sha256sum /usr/local/demo/perform_upgrade | cut -c1-16)"
show "mariadb --table -e 'SELECT COUNT(*) AS orders, SUM(cents) AS cents FROM shop.orders; CHECKSUM TABLE shop.orders'"
fact checksum_before "$(table_checksum)"
fact disk_before "$(disk_fingerprint)"
show "lsblk --noheadings --output NAME,SIZE,FSTYPE,LABEL,MOUNTPOINT $disk $backup"

explain_the_mistake
show_at_terminal "$mistake"
fact upgrade_status $?
sed 's/^/@step /' /var/log/perform_upgrade.log
fact disk_after "$(disk_fingerprint)"

say "The restart is held back here to look at the damage. The server is stopped and started, as a"
echo "restart would do."
systemctl kill --signal=KILL mariadb.service
systemctl stop mariadb.service
umount -l /var/lib/mysql
echo 3 >/proc/sys/vm/drop_caches
partprobe "$disk" 2>/dev/null
udevadm settle --timeout=20
show "lsblk --noheadings --output NAME,SIZE,FSTYPE,LABEL $disk $backup"
mounted=0
show "mount -t ext4 $part /var/lib/mysql" || mounted=$?
fact mount_status $mounted
started=0
show "timeout 60 systemctl start mariadb.service" || started=$?
fact start_status $started
answered=0
show "mariadb --connect-timeout=5 -e 'SELECT COUNT(*) FROM shop.orders'" || answered=$?
fact select_status $answered
