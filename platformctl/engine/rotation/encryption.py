"""Proofs of a new encryption key: API servers read with it, write with it, and need the old one no more."""

import inspect
import json
import shlex

from platformctl.engine import remote
from platformctl.engine.fleet import Fleet, Host
from platformctl.engine.rotation import rewrite_secrets
from platformctl.errors import PlatformError
from platformctl.site import rotations

_CONFIGURATION = "/etc/kubernetes/apiserver/encryption.yaml"
# An API server looks for a new file once a minute.
_RELOAD_SECONDS = 180
_REWRITE_SECONDS = 3600
_FIRST_NAME = "site"
_LOADED = f"""
wanted=$(sha256sum < {_CONFIGURATION} | cut -d ' ' -f 1) || exit 1
for _ in $(seq {_RELOAD_SECONDS // 2}); do
  kubectl --kubeconfig /etc/kubernetes/admin.conf --server "https://$1:6443" get --raw /metrics 2>/dev/null |
    grep 'encryption_config_controller_last_config_info' | grep -q "sha256:$wanted" && exit 0
  sleep 2
done
echo "the API server still works with an older {_CONFIGURATION}" >&2
exit 1
"""


async def loaded(fleet: Fleet) -> str:
    """Wait until each API server works with the keys that its host has now."""
    for host in _hosts(fleet):
        address = str(host.variables.get("base_address") or host.connection.address)
        script = f"set -- {shlex.quote(address)}; {_LOADED}"
        reply = await remote.run(host.connection, script, seconds=_RELOAD_SECONDS + 60)
        if reply.code != 0:
            raise PlatformError(
                f"the API server on {host.name} has not read its new keys: {reply.message}",
                where=f"{host.name}:{_CONFIGURATION}",
                next=f"look at the log of its pod kube-apiserver-{host.name}; then the same command again",
            )
    return "every API server works with the keys of its host"


async def rewritten(fleet: Fleet) -> str:
    """Write all Secrets again, until etcd holds none under another key than the present one."""
    written = await _program(fleet)
    return f"{written} Secrets were written again; etcd holds all under {_name(fleet)}"


async def only_new(fleet: Fleet) -> str:
    """Prove, with an API server that no longer has the old key, that Secrets can be read."""
    read = await _program(fleet, "read")
    return f"{read} Secrets were read from etcd without the old key"


async def _program(fleet: Fleet, *words: str) -> int:
    host = _hosts(fleet)[0]
    program = inspect.getsource(rewrite_secrets)
    command = shlex.join(["python3", "-", host.name, _name(fleet), *words])
    reply = await remote.run(host.connection, command, program, seconds=_REWRITE_SECONDS)
    try:
        result = json.loads(reply.out)
    except ValueError:
        result = {}
    if reply.code == 0 and result:
        return int(result["done"])
    left = result.get("left") or []
    what = f"{len(left)} Secrets are still under another key" if left else reply.message
    raise PlatformError(
        f"not all Secrets could be read and written with the new key: {what}",
        where=host.name,
        next="the same command again continues; an admission webhook that refuses them may be the cause",
        details=[str(name) for name in left[:10]],
    )


def _hosts(fleet: Fleet) -> list[Host]:
    return [fleet.hosts[name] for name in fleet.members("kubernetes_control_plane")]


def _name(fleet: Fleet) -> str:
    return str(fleet.variables.get(f"{rotations.ENCRYPTION_KEY}_name") or _FIRST_NAME)
