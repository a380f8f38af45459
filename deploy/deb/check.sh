#!/bin/sh
# Installs the packages in $1 on a fresh Debian, boots it with systemd, and has
# what was installed do its work under its units. Needs root and debootstrap.
set -e
debs=$1
base=$debs/debian
[ -e "$base/ready" ] || {
	rm -rf "$base"
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$base"
	touch "$base/ready"
}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp -a "$base/." "$root"
cp "$debs"/*.deb "$root/tmp/"
chroot "$root" sh -c 'dpkg -i /tmp/*.deb' >"$debs/install.log" 2>&1 || { cat "$debs/install.log"; exit 1; }
cp deploy/deb/inside.sh "$root/inside.sh"
cat >"$root/etc/systemd/system/inside.service" <<EOF
[Unit]
After=cardea-agent.socket
[Service]
Type=oneshot
ExecStart=/bin/bash /inside.sh
StandardOutput=file:/inside.out
StandardError=file:/inside.out
ExecStopPost=/bin/systemctl poweroff
[Install]
WantedBy=multi-user.target
EOF
chroot "$root" systemctl enable --quiet inside.service
timeout 300 systemd-nspawn --register=no --keep-unit -q -D "$root" -b --console=pipe </dev/null >"$debs/boot.log" 2>&1 || true
cat "$root/inside.out"
tail -n 1 "$root/inside.out" | grep -q '^every step worked$'
