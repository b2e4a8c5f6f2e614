"""For a while, a lab whose Slurm has all that scripts name: its nodes are slurmds beside each other."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from platformctl.engine.cluster.queues import queues
from tests.both_ways.compare import Site
from tests.both_ways.wanted import (
    FILE,
    GPUS,
    LONGEST,
    MOST_NODES,
    OWN,
    Wanted,
    accounting,
    configuration,
    node_names,
)

_PORT = 20000
_SECONDS = 120
# Jobs start at once, and those of components soon. No task is bound to a core that the machine lacks.
_QUICK = """
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
TaskPlugin=task/none
MinJobAge=3600
"""
_CONFIGURE = """
cd /etc/slurm
for name in slurm.conf gres.conf; do [ -e "$name.before" ] || cp -p "$name" "$name.before"; done
cat >/tmp/more
sed '/^\\(GresTypes\\|TaskPlugin\\|MinJobAge\\|NodeName\\|PartitionName\\|SchedulerParameters\\)=/d
  s#^SlurmdSpoolDir=.*#&/%n#
  s#^SlurmdPidFile=\\(.*\\)\\.pid$#SlurmdPidFile=\\1-%n.pid#' slurm.conf.before | cat - /tmp/more >slurm.conf
"""
_RESTORE = """
cd /etc/slurm
for name in slurm.conf gres.conf; do [ ! -e "$name.before" ] || mv "$name.before" "$name"; done
systemctl restart slurmctld
"""
_START = """
server=$1 gpus=$2; shift 2
for number in $(seq 0 "$gpus"); do [ -e "$FILE$number" ] || mknod -m 666 "$FILE$number" c 1 7; done
for node in "$@"; do
  mkdir -p "/var/lib/slurm/slurmd/$node"
  [ "$node" = $OWN ] || systemd-run --quiet --unit "both-$node" --slice both.slice -p Delegate=yes \\
    -p TasksMax=infinity -p LimitNOFILE=20000 /usr/sbin/slurmd -D --conf-server "$server" -N "$node"
done
systemctl restart slurmd
""".replace("$OWN", OWN).replace("$FILE", FILE)
_KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
_LIMIT = f"{_KUBECTL} patch kq main --type=merge -p"
_LONGEST_SECONDS = 366 * 86400
_STOP = f"systemctl stop 'both-*'; rm -f {FILE}[0-9]*; systemctl restart slurmd"


@contextmanager
def larger(site: Site, wanted: Wanted, count: int = MOST_NODES, user: str = "alice") -> Iterator[None]:
    """The lab's Slurm with that many nodes; as it was before at the end, but for its accounts."""
    names = node_names(wanted, count)
    address = site.host("ctl1", "getent", "hosts", OWN).split()[0]
    gpus = GPUS * max(1, len(wanted.devices.get("gpu", ())))
    slurm, gres = configuration(wanted, names, address, _PORT)
    for words in accounting(wanted, user):
        site.host("ctl1", "sh", "-c", f"sacctmgr -i {words} || true")
    for host in ("ctl1", OWN):
        site.host(host, "install", "-d", "-m", "1777", "/scratch", "/scratch/user")
    longest = site.kubectl("get", "kq", "main", "--output=jsonpath={.spec.maxWalltime}")
    try:
        if wanted.partitions:
            site.host("ctl1", "sh", "-ec", f"{_KUBECTL} apply -f -", data=_queues(wanted))
        site.host("ctl1", "sh", "-ec", f"{_LIMIT} '{_walltime(_LONGEST_SECONDS)}'")
        site.host("ctl1", "sh", "-ec", _CONFIGURE, data=f"{_QUICK}\n{slurm}")
        site.host("ctl1", "sh", "-ec", "cat >/etc/slurm/gres.conf; systemctl restart slurmctld", data=gres)
        site.host(OWN, "sh", "-ec", _START, "sh", "ctl1", str(gpus), *names)
        _all_idle(site, names)
        yield
    finally:
        site.host("ctl1", "sh", "-ec", f"{_KUBECTL} delete kq -l both-ways")
        site.host("ctl1", "sh", "-ec", f"{_LIMIT} '{_walltime(int(longest))}'")
        site.host("ctl1", "sh", "-ec", _RESTORE)
        site.host(OWN, "sh", "-c", _STOP)
        _all_idle(site, [OWN])


def _queues(wanted: Wanted) -> str:
    """Queues by the names that the site would give them."""
    names = sorted({"main", *wanted.partitions})
    partitions = [{"name": name, "default": name == "main", "max_time": LONGEST} for name in names]
    made = [
        {**queue, "metadata": {**queue["metadata"], "labels": {"both-ways": "true"}}}
        for queue in queues({"slurm_partitions": partitions}, slurm=True, kubernetes=False)
        if queue["metadata"]["name"] != "main"
    ]
    return "\n---\n".join(map(json.dumps, made))


def _walltime(seconds: int) -> str:
    return json.dumps({"spec": {"maxWalltime": seconds}})


def _all_idle(site: Site, names: list[str]) -> None:
    until = time.monotonic() + _SECONDS
    states = ""
    while time.monotonic() < until:
        states = site.host(
            "ctl1", "sh", "-c", f"sinfo --noheader --Node --nodes={','.join(names)} -o %T || true"
        )
        if set(states.split()) == {"idle"}:
            return
        if "down" in states or "inval" in states or "drained" in states:
            site.host("ctl1", "sh", "-c", "scontrol update nodename=ALL state=resume || true")
        time.sleep(1)
    raise AssertionError(f"not all nodes are idle: {states}")
