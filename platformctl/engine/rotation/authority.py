"""Proofs of a new certificate authority: hosts trust it, services use it, and the old one is gone."""

import shlex
from collections.abc import Iterator

from platformctl.engine import remote
from platformctl.engine.fleet import Fleet, Host
from platformctl.errors import PlatformError
from platformctl.site import rotations, secrets
from platformctl.site.role_defaults import default
from platformctl.site.rotations import Phase

_STORE = "/etc/ssl/certs/ca-certificates.crt"
# By its text: openssl finds one of two authorities of the same name, and says that the other one is unknown.
_TRUSTED = f"""exec python3 -c '
import sys
bare = lambda text: "".join(text.split())
sys.exit(0 if bare(sys.stdin.read()) in bare(open("{_STORE}").read()) else "it is not in {_STORE}")
'"""
# Exit status of openssl s_client with -verify_return_error: not 0 if the certificate is another authority's.
_SHOWN = """
file=$(mktemp)
trap 'rm -f "$file"' EXIT
cat > "$file"
openssl s_client -connect "$1" -servername "$2" -verify_hostname "$2" -verify_return_error -CAfile "$file" \\
  -no-CApath -no-CAstore </dev/null >/dev/null
"""


async def trusted(fleet: Fleet) -> str:
    """Every host trusts all authorities that count now."""
    wanted = rotations.trusted(secrets.CA_CERTIFICATE, fleet.variables)
    for certificate in wanted:
        for host, reply in (await _everywhere(fleet, certificate)).items():
            if reply.code != 0:
                raise PlatformError(
                    f"{host} does not trust an authority of the site: {reply.message}",
                    where=f"{host}:{_STORE}",
                    next="run update-ca-certificates there; the same command again continues",
                )
    return f"all hosts trust the site's {'two authorities' if len(wanted) > 1 else 'authority'}"


async def shown(fleet: Fleet) -> str:
    """Each service shows a certificate that the present authority signed."""
    certificate = str(fleet.variables[secrets.CA_CERTIFICATE])
    names = []
    for host, name, port in _services(fleet):
        address = str(host.variables.get("base_address") or host.connection.address)
        script = f"set -- {shlex.quote(f'{address}:{port}')} {shlex.quote(name)}; {_SHOWN}"
        reply = await remote.run(host.connection, script, certificate)
        if reply.code != 0:
            raise PlatformError(
                f"{name} does not show a certificate of the new authority: {reply.message}",
                where=f"{address}:{port}",
                next="the same command again continues",
            )
        names.append(name)
    return f"the new authority's certificates are shown by {', '.join(names) or 'no service'}"


async def forgotten(fleet: Fleet) -> str:
    """No host trusts the old authority any more."""
    old = fleet.variables.get(f"{secrets.CA_CERTIFICATE}_{Phase.RETIRED}")
    for host, reply in (await _everywhere(fleet, str(old))).items() if old else ():
        if reply.code == 0:
            raise PlatformError(
                f"{host} still trusts the old authority",
                where=f"{host}:{_STORE}",
                next="run update-ca-certificates there; the same command again continues",
            )
    return "no host trusts the old authority"


async def _everywhere(fleet: Fleet, certificate: str) -> dict[str, remote.Reply]:
    hosts = list(fleet.hosts.values())
    return await remote.run_all(hosts, {host.name: _TRUSTED for host in hosts}, certificate)


def _services(fleet: Fleet) -> Iterator[tuple[Host, str, int]]:
    """Host, name and port of the services on hosts that have certificates of the authority."""
    domain = fleet.variables.get("site_domain", fleet.site)
    for group, name, variable in (
        ("registry", "registry", "registry_port"),
        ("slurm_rest", "rest", "slurm_rest_port"),
    ):
        host = fleet.first(group)
        if host:
            yield host, f"{name}.{domain}", int(host.variables.get(variable) or default(variable, int))
