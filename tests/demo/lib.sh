# What both acts of the demonstration share. Lines that begin with @ are for the program that
# boots the guests: facts it judges by. It does not print them.
set -u
export PATH=/usr/local/demo:$PATH LC_ALL=C.UTF-8
disk=$(readlink -f /dev/disk/by-role/data)
part=$(readlink -f /dev/disk/by-role/data-part1)
backup=$(readlink -f /dev/disk/by-role/spare1)

say() { printf '\n%s\n' "$*"; }
fact() { printf '@fact %s=%s\n' "$1" "$2"; }

# Runs a command line as a person would have typed it, and shows both.
show() {
	printf '\n%s# %s\n' "$(hostname)" "$*"
	eval "$@" 2>&1
}

# The same at a terminal of its own, which stays a second longer for messages to arrive.
show_at_terminal() {
	printf '\n%s# %s\n' "$(hostname)" "$*"
	script --quiet --return --command "$*; status=\$?; sleep 1; exit \$status" /dev/null </dev/null |
		tr -d '\r'
	return "${PIPESTATUS[0]}"
}

# A shop with some orders in it.
fill_database() {
	mariadb <<'SQL'
CREATE DATABASE IF NOT EXISTS shop;
USE shop;
CREATE OR REPLACE TABLE orders (
	id INT PRIMARY KEY AUTO_INCREMENT,
	customer VARCHAR(40) NOT NULL,
	cents INT NOT NULL,
	placed DATETIME NOT NULL
) ENGINE=InnoDB;
INSERT INTO orders (customer, cents, placed)
SELECT CONCAT('customer ', MOD(seq * 7919, 997)), 100 + MOD(seq * 104729, 90000),
       '2014-01-01' + INTERVAL seq MINUTE
FROM seq_1_to_20000;
SQL
	sync
}

# Yesterday's dump on a disk of its own, which is mounted only while a dump is made. Preparing it is
# ordinary work on a free disk, on the guarded machine as on the other.
fill_backup_disk() {
	mkfs.ext4 -q -F -L backup "$backup" &&
		mkdir -p /srv/backup &&
		mount "$backup" /srv/backup &&
		mariadb-dump --single-transaction shop | gzip -1 >/srv/backup/shop.sql.gz &&
		umount /srv/backup &&
		udevadm settle --timeout=20
}

table_checksum() { mariadb --batch --skip-column-names -e 'CHECKSUM TABLE shop.orders' | cut -f2; }

# What tells a disk with data from an empty one: the protective MBR and both partition tables, and
# the part of the file system's superblock that stays the same while it is mounted (magic, sizes,
# label, UUID). Reads bypass the page cache.
data_fingerprint() {
	local bytes
	bytes=$(blockdev --getsize64 "$disk")
	{
		dd if="$disk" bs=1M count=1 iflag=direct status=none
		dd if="$disk" bs=64K skip=$((bytes / 65536 - 1)) iflag=direct status=none
		dumpe2fs -h "$part" 2>/dev/null |
			grep -E '^(Filesystem (volume name|UUID|magic number|OS type)|(Inode|Block) (count|size)|Filesystem created):'
	} | sha256sum | cut -c1-16
}

# Of the backup disk, which nobody uses: the first 16 MiB.
backup_fingerprint() { dd if="$backup" bs=1M count=16 iflag=direct status=none | sha256sum | cut -c1-16; }

# Of both.
disk_fingerprint() { { data_fingerprint; backup_fingerprint; } | sha256sum | cut -c1-16; }

# Somebody who may sign, with a key in software for this demonstration, on a machine that this one
# plays as well.
people_who_sign() {
	mkdir -p /run/laptop /etc/dbguard/allowed_signers.d /etc/dbguard/conf.d
	cd /run/laptop || return
	ssh-keygen -q -t ed25519 -N '' -C alice -f alice
	echo "alice namespaces=\"override@dbguard\" $(cut -d' ' -f1,2 alice.pub)" \
		>/etc/dbguard/allowed_signers.d/oncall
	printf '[override]\nsoftware_keys = ["alice"]\n' >/etc/dbguard/conf.d/override.toml
	dbguard config apply --confirm-host "$(uname -n)" >/dev/null
}

# A command line on the machine of whoever signs.
show_elsewhere() {
	printf '\nlaptop$ %s\n' "$*"
	eval "$@" 2>&1
}

# What a provisioner finds on the machine: the installer's image, a small bootable-looking disk.
make_installer_image() {
	mkdir -p /srv/provision
	truncate -s 48M /srv/provision/installer.img
	echo 'start=1MiB, type=83, bootable' | sfdisk --quiet /srv/provision/installer.img
	mke2fs -q -F -t ext2 -L INSTALLER -E offset=1048576 /srv/provision/installer.img 46M
	printf 'installer' | dd of=/srv/provision/installer.img bs=1 conv=notrunc status=none
}

explain_the_mistake() {
	cat <<'TEXT'

Meant:  dsh --group 'hwclass=database lifecycle=reinstall' perform_upgrade     (1 machine: db7)
Typed:  dsh --group hwclass=database lifecycle=reinstall perform_upgrade       (no quotes)
The shell splits at the blank: the group is every database machine, and `lifecycle=reinstall`
becomes a variable set for the command, the very one that perform_upgrade asks for before it acts.
TEXT
}
mistake='dsh --group hwclass=database lifecycle=reinstall perform_upgrade'
