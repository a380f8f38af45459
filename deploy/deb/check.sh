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
mkdir "$root/work"
cp "$debs"/*.deb "$root/work/"
cp deploy/deb/inside.sh "$root/work/"
awk '/^## /{on=($0=="## On Debian")} on&&/^```sh$/{block=1;next} /^```$/{block=0} on&&block' docs/operate.md >"$root/work/documented.sh"
cat >"$root/etc/systemd/system/inside.service" <<EOF
[Unit]
After=multi-user.target
[Service]
Type=oneshot
WorkingDirectory=/work
ExecStart=/bin/bash inside.sh
StandardOutput=file:/work/out
StandardError=file:/work/out
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=default.target
EOF
chroot "$root" systemctl enable --quiet inside.service
timeout 300 systemd-nspawn --register=no --keep-unit -q -D "$root" -b --console=pipe </dev/null >"$debs/boot.log" 2>&1 || true
cat "$root/work/out"
tail -n 1 "$root/work/out" | grep -q '^every step worked$'
