"""What breaks on hosts of an installed site: stopped services, lost packet rules, closed folders, drains."""

import shlex
from collections.abc import Iterator

from platformctl.lab import faults
from platformctl.lab.dirt.made import dirt, made
from platformctl.lab.lifecycle import Lab

_KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace kube-system"
_LOOP = f"""
set -e
{_KUBECTL} get configmap coredns -o yaml > /run/dirt-coredns.yaml
{_KUBECTL} get configmap coredns -o yaml | sed 's|forward \\. /etc/resolv.conf|forward . 127.0.0.1|' |
  {_KUBECTL} apply -f - >/dev/null 2>&1
{_KUBECTL} rollout restart deployment/coredns >/dev/null
{_KUBECTL} delete pods --selector k8s-app=kube-dns --wait=true >/dev/null
"""
_NO_LOOP = f"""
{_KUBECTL} replace --force -f /run/dirt-coredns.yaml >/dev/null && rm /run/dirt-coredns.yaml
{_KUBECTL} rollout restart deployment/coredns >/dev/null
{_KUBECTL} rollout status deployment/coredns --timeout=120s >/dev/null
"""


@dirt
def stopped(lab: Lab, host: str, unit: str) -> Iterator[None]:
    """A service of the site does not run."""
    with made(lab, host, f"systemctl stop {shlex.quote(unit)}", f"systemctl start {shlex.quote(unit)}"):
        yield


@dirt
def flushed(lab: Lab, host: str) -> Iterator[None]:
    """All packet rules are gone, as after a restart of nftables.service."""
    faults.change_packet_rules(lab, host, "flush ruleset\n")
    yield


@dirt
def closed(lab: Lab, host: str, path: str) -> Iterator[None]:
    """Only root may look into a folder, as if it had been made with umask 077."""
    with made(lab, host, f"chmod 700 {shlex.quote(path)}", f"chmod 755 {shlex.quote(path)}"):
        yield


@dirt
def looping_names(lab: Lab, host: str) -> Iterator[None]:
    """CoreDNS asks 127.0.0.1 for names that it does not know, which is itself. host: of the control plane."""
    with made(lab, host, _LOOP, _NO_LOOP):
        yield


@dirt
def drained(lab: Lab, host: str, node: str, reason: str) -> Iterator[None]:
    """A Slurm node is out of service. host: a controller."""
    drain = f"scontrol update nodename={node} state=drain reason={shlex.quote(reason)}"
    resume = (
        f"sinfo -h -N -n {node} -o %T | grep -q drain && scontrol update nodename={node} state=resume; true"
    )
    with made(lab, host, drain, resume):
        yield
