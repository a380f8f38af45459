# Runs on the Debian that check.sh boots, as root.
set -e
step() { echo "--- $*"; "$@"; }
fail() { echo "FAILED: $*"; journalctl -n 40 --no-pager -u cardea-agent -u cardea-cloud; exit 1; }

# The agent, by its socket: the first to ask has it started.
systemctl is-enabled cardea-agent.socket
step cardea whoami || fail "root is not told who it is"
systemctl is-active cardea-agent.service || fail "the agent does not run"
[ "$(stat -c %U "/proc/$(systemctl show -P MainPID cardea-agent)")" = cardea-agent ] || fail "the agent runs as somebody else"

# A program's user, first a stranger, then in the group and with a file.
useradd --system ui
if runuser -u ui -- cardea whoami; then fail "a stranger reached the socket"; fi
usermod -aG cardea ui
printf 'name = "ui"\nuser = "ui"\nentitlements = ["decide"]\npurposes = ["*"]\n' >/etc/cardea/apps.d/ui.toml
systemctl restart cardea-agent
step runuser -u ui -- cardea whoami | tee /tmp/whoami
grep -q ui.toml /tmp/whoami || fail "SO_PEERCRED shows somebody else"
[ "$(stat -c '%a %U' /var/lib/cardea)" = "700 cardea-agent" ] || fail "the state can be read by others"

# The cloud, on this machine alone.
cp /usr/share/doc/cardea-cloud/catalogue.yaml /etc/cardea/catalogue.yaml
cat >/etc/cardea/cloud.toml <<EOF
issuer = "http://127.0.0.1:8080"
operate_listen = "127.0.0.1:9464"
drain_wait = "1s"
data_dir = "/var/lib/cardea-cloud"
catalogue = "/etc/cardea/catalogue.yaml"
EOF
get() { exec 3<>"/dev/tcp/127.0.0.1/$1"; printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3; cat <&3; }
systemctl enable --now --quiet cardea-cloud.service || fail "the cloud does not start"
for i in $(seq 100); do get 9464 /readyz >/tmp/ready 2>/dev/null && grep -q '"ok"' /tmp/ready && break; sleep 0.1; done
tail -n 1 /tmp/ready
grep -q '"ok"' /tmp/ready || fail "the cloud is not ready"
systemctl stop cardea-cloud.service
[ "$(systemctl show -P Result cardea-cloud.service)" = success ] || fail "the cloud did not end in good order"

systemd-analyze security --no-pager cardea-agent.service | tail -n 1
systemd-analyze security --no-pager cardea-cloud.service | tail -n 1
dpkg --purge cardea-agent >/dev/null
[ ! -e /var/lib/cardea ] || fail "purging left the device's key"
echo "every step worked"
