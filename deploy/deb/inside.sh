# Runs on the Debian that check.sh boots, as root.
set -e
fail() { echo "FAILED: $*"; journalctl -n 60 --no-pager -u cardea-agent -u cardea-cloud; exit 1; }

bash -exu documented.sh || fail "a command of docs/operate.md"

# The agent, as itself, by its socket: the first to ask has it started.
[ "$(stat -c %U "/proc/$(systemctl show -P MainPID cardea-agent)")" = cardea-agent ] || fail "the agent runs as somebody else"
[ "$(stat -c '%a %U' /var/lib/cardea)" = "700 cardea-agent" ] || fail "the agent's state can be read by others"
systemctl stop cardea-agent.service
runuser -u ui -- cardea whoami | grep -q ui.toml || fail "the agent is not started by its socket, or takes ui for somebody else"
useradd --system stranger
if runuser -u stranger -- cardea whoami; then fail "a stranger reached the socket"; fi

# The cloud is ready, and ends in good order.
get() { exec 3<>"/dev/tcp/127.0.0.1/9464"; printf 'GET %s HTTP/1.0\r\nHost: x\r\n\r\n' "$1" >&3; cat <&3; }
ready() { for _ in $(seq 100); do get /readyz >ready 2>/dev/null && grep -q '"ok"' ready && return; sleep 0.1; done; return 1; }
ready || fail "the cloud is not ready"
systemctl restart cardea-cloud.service
ready || fail "the cloud is not ready again"
systemctl stop cardea-cloud.service
[ "$(systemctl show -P Result cardea-cloud.service)" = success ] || fail "the cloud did not end in good order"

for unit in cardea-agent cardea-cloud; do systemd-analyze security --no-pager $unit.service | tail -n 1; done
dpkg --purge cardea-agent
[ ! -e /var/lib/cardea ] || fail "purging left the device's key"
dpkg --purge cardea-cloud
[ -e /var/lib/cardea-cloud/master.key ] || fail "purging took the ledger"
echo "every step worked"
