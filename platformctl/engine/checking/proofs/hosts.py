"""Checks of a host itself: its units, names, shared home, registry and the runtime of containers."""

import shlex
from functools import cache

from platformctl.engine.checking.proofs.common import authority, domain, port
from platformctl.engine.checking.proofs.health_check import HealthCheck
from platformctl.engine.checking.proofs.script import on_host
from platformctl.engine.fleet import Fleet, Host
from platformctl.site import accounts

_MOST_USERS = 50
_SITE_NAMES = {"api": "kubernetes_control_plane", "registry": "registry", "rest": "slurm_rest"}


@cache
def units(name: str, of_stage: tuple[str, ...]) -> HealthCheck:
    """Whether the units of a stage run. One that is starting is waited for."""
    script = f"""
bad=
for unit in {shlex.join(of_stage)}; do
  state=$(systemctl is-active "$unit") || bad="$bad, $unit is $state"
done
[ -z "$bad" ] || {{ echo "${{bad#, }}"; exit 1; }}
"""
    return HealthCheck(name, lambda _fleet, _host: script, quick=True, patience=30)


def _names(fleet: Fleet, host: Host) -> str:
    wanted = [host.name]
    wanted += [f"{name}.{domain(fleet)}" for name, group in _SITE_NAMES.items() if fleet.members(group)]
    # Not `getent hosts`, which asks name servers for an IPv6 address first and waits if none answers.
    return f"""
for name in {shlex.join(wanted)}; do
  getent ahostsv4 "$name" >/dev/null || {{ echo "the name $name does not resolve"; exit 1; }}
done
for name in {shlex.join(accounts.names(fleet.variables)[:_MOST_USERS])}; do
  id "$name" >/dev/null 2>&1 || {{ echo "the user $name is not known"; exit 1; }}
done
echo "names and users are known"
"""


def _home(fleet: Fleet, _host: Host) -> str:
    home = str(fleet.variables.get("shared_home_path") or "/home").rstrip("/")
    if "{{" in home:
        return ""
    marker = f"{home}/.platformctl-shared-home"
    return f"""
[ -r {shlex.quote(marker)} ] && exit 0
echo "{home} is not the shared file system: the site's marker is not there"; exit 1
"""


def _registry(fleet: Fleet, host: Host) -> str:
    name = f"registry.{domain(fleet)}:{port(host, 'registry_port')}"
    return on_host("registry", f"https://{name}", authority(fleet))


_PACKET_RULES = """
nft list table inet platformctl >/dev/null 2>&1 ||
  { echo "the table inet platformctl is gone, so ports are open: systemctl restart platformctl-firewall"
    exit 1; }
"""


_RUNTIME = """
plugins=$(ctr --connect-timeout 3s plugins ls) || exit 1
echo "$plugins" | awk '
  $1 ~ /grpc/ && $2 == "cri" || $2 == "runtime" && $1 ~ /cri/ { seen = 1; if ($NF == "error") bad = 1 }
  END {
    if (bad) print "its plugin cri did not start"
    else if (!seen) print "it has no plugin cri"
    exit bad || !seen
  }'
"""


# In a namespace of its own, so that Kubernetes' record of the image stays as it is.
_PULL = """
image=$(sed -n 's/^ *sandbox_image = "\\(.*\\)"/\\1/p' /etc/containerd/config.toml)
[ -n "$image" ] || { echo "containerd's configuration names no sandbox_image"; exit 1; }
ctr --namespace platformctl images pull --hosts-dir /etc/containerd/certs.d "$image" >/dev/null || exit 1
ctr --namespace platformctl images remove "$image" >/dev/null
echo "$image comes from the site's registry"
"""


NAMES = HealthCheck("names and users", _names, patience=10)
# On a host without the mount, the stage would make homes on the local disk.
HOME = HealthCheck("shared home", _home, quick=True, harmful=True, patience=10)
FIREWALL = HealthCheck(
    "packet rules",
    lambda _fleet, _host: _PACKET_RULES,
    quick=True,
    patience=10,
    # Its unit has done its work long ago, so that running the stage again starts nothing.
    repair="systemctl restart platformctl-firewall",
)
REGISTRY = HealthCheck("registry", _registry, patience=60, look="journalctl -u docker-registry -n 50")
RUNTIME = HealthCheck("containerd", lambda _fleet, _host: _RUNTIME, look="journalctl -u containerd -n 50")
PULL = HealthCheck(
    "images from the registry", lambda _fleet, _host: _PULL, seconds=20, look="journalctl -u containerd -n 50"
)
