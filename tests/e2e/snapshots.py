"""What hosts have, line by line, to compare: files, packages, accounts, services, firewall."""

from collections.abc import Iterable

from platformctl import lab as labs

# Left out: what a login leaves, which is the administrator's folder of Ansible; and pods, which come and go.
_SHOW = r"""
cd /
find etc opt usr/local srv root home var/spool var/lib/mysql var/lib/etcd var/lib/kubelet -xdev \
  -path 'home/*/.ansible' -prune -o -path root/.ansible -prune -o -path etc/mtab -prune -o \
  -path var/lib/kubelet/pods -prune -o -path root/.kube/cache -prune -o \
  -printf '%y %m %u:%g %p %l\n' 2>/dev/null
find etc opt usr/local srv root home var/spool -xdev \
  -name .ansible -prune -o -path root/.kube/cache -prune -o \
  -type f -size -1024k -print0 2>/dev/null | xargs --null --no-run-if-empty md5sum
dpkg-query --show --showformat='package ${Package} ${Version} ${db:Status-Abbrev}\n'
sed 's/^/passwd /' /etc/passwd
sed 's/^/group /' /etc/group
systemctl list-unit-files --no-legend --state=enabled | sed 's/^/enabled /'
for unit in $(systemctl list-units --no-legend --plain --type=service --state=running | awk '{print $1}'); do
  case $unit in user@*|session*|systemd-*|ssh@*) continue;; esac
  echo "running $unit $(systemctl show --property=MainPID --value "$unit")"
done
nft list ruleset 2>/dev/null | sed 's/counter packets [0-9]* bytes [0-9]*//; s/^/rule /'
"""


def snapshot(lab: labs.Lab) -> dict[str, set[str]]:
    """The lines of every host that runs, by host."""
    taken = {}
    for host in lab.hosts:
        done = lab.exec(host.name, ["sh", "-c", _SHOW])
        if done.returncode == 0 or done.stdout:
            taken[host.name] = set(done.stdout.splitlines())
    return taken


def changes(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    """What is gone (-) and what is new (+), by host; empty if nothing changed."""
    found = []
    for host, lines in before.items():
        now = after.get(host, set())
        found += [f"{host}: - {line}" for line in sorted(lines - now)]
        found += [f"{host}: + {line}" for line in sorted(now - lines)]
    return found


def lost(changed: Iterable[str]) -> set[str]:
    """The hosts and things of which only the old is in these changes: what is gone, not merely changed."""
    named: dict[str, set[str]] = {"+": set(), "-": set()}
    for line in changed:
        host, sign, thing = line.split(" ", 2)
        named[sign].add(f"{host} {_name(thing)}")
    return named["-"] - named["+"]


def _name(thing: str) -> str:
    """A line without what changes when the thing does: a file's digest, a package's version, a process."""
    words = thing.split()
    if words[0] in ("package", "running", "enabled"):
        return " ".join(words[:2])
    if words[0] in ("passwd", "group"):
        return f"{words[0]} {words[1].split(':')[0]}"
    return thing if words[0] == "rule" else words[3] if len(words) > 3 else words[-1]
