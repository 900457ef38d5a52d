# shellcheck shell=bash
# What the scripts here have in common: people who sign, and a protected disk with known bytes.

laptop=/run/laptop
disk=/dev/nullb0

# Makes keys for the people that are named, and `signers`, which allows them.
signers() {
	for who; do
		ssh-keygen -q -t ed25519 -N '' -f "$who"
		echo "$who namespaces=\"override@dbguard\" $(cut -d' ' -f1,2 "$who.pub")"
	done >signers
}

# Takes signers from $1, whose keys may be software.
accept() {
	mkdir -p /etc/dbguard/allowed_signers.d /etc/dbguard/conf.d
	cp "$1" /etc/dbguard/allowed_signers.d/oncall
	printf '[override]\nsoftware_keys = ["alice", "bob"]\n' >/etc/dbguard/conf.d/override.toml
	dbguard config apply --confirm-host "$(uname -n)" >/dev/null
}

# Makes a protected disk with known bytes; arms nothing that is not armed by the database already.
prepare() {
	modprobe null_blk nr_devices=1 memory_backed=1 gb=1
	udevadm settle
	for _ in $(seq 50); do
		dbguard check $disk >/dev/null && break
		sleep 0.1
	done
	yes data | dd of=$disk bs=64k count=16 iflag=fullblock conv=fsync 2>/dev/null
	dbguard mark --device $disk >/dev/null
	refused wipe 2>/dev/null
	sum=$(bytes)
}

# What must not succeed.
refused() {
	if "$@"; then
		echo "let through: $*"
		exit 1
	fi
}

wipe() {
	dd if=/dev/zero of=$disk bs=64k count=16 conv=fsync
}

bytes() {
	sha256sum <$disk
}

# A file of text for the other machines.
send() {
	echo "@begin $1"
	cat "$1"
	echo "@end"
}
