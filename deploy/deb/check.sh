#!/bin/sh
# Boots a fresh Debian with systemd and runs on it, as they stand there, the
# commands of docs/operate.md that install the packages in $1; then looks whether
# what was installed does its work under its units. Needs root and debootstrap.
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
mkdir "$root/trial"
cp "$debs"/*.deb "$root/trial/"
cp deploy/deb/inside.sh "$root/trial/"
awk '/^## /{on=($0=="## On Debian")} on&&/^```sh$/{block=1;next} /^```$/{block=0} on&&block' docs/operate.md >"$root/trial/documented.sh"
cat >"$root/etc/systemd/system/inside.service" <<EOF
[Unit]
After=multi-user.target
[Service]
Type=oneshot
WorkingDirectory=/trial
ExecStart=/bin/bash inside.sh
StandardOutput=file:/trial/out
StandardError=file:/trial/out
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=default.target
EOF
chroot "$root" systemctl enable --quiet inside.service
timeout 300 systemd-nspawn --register=no --keep-unit -q -D "$root" -b --console=pipe </dev/null >"$debs/boot.log" 2>&1 || true
cat "$root/trial/out"
tail -n 1 "$root/trial/out" | grep -q '^every step worked$'
