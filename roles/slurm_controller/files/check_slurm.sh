#!/bin/bash
# Tries Slurm's files with Slurm's own programs, in namespaces where they are already in place.
set -u
# Every Slurm command reads slurm.conf and stops at what it does not know.
if ! words=$(scontrol show hostnames localhost 2>&1 >/dev/null); then
  echo "$words"
  exit 1
fi

value() { sed -n "s/^$1=//Ip" /etc/slurm/slurm.conf | tail -n1; }
state=$(value StateSaveLocation)
# A slurmctld that never ran needs slurmdbd, which nobody reaches from here; and nothing runs that could break.
[ -e "$state/clustername" ] || exit 0

# It starts on a copy of what it knows of the cluster, and reads plugins and the other files while it does.
copy=$(mktemp --directory --tmpdir=/run platformctl-slurm-XXXXXX)
trap 'umount "$state" /etc/slurm/slurm.conf 2>/dev/null; rm -rf "$copy"' EXIT
cp --archive "$state"/{clustername,last_tres,assoc_mgr_state,assoc_usage,qos_usage} "$copy" 2>/dev/null
chown slurm: "$copy"
# What the accounting counts is left out: slurmctld has slurmdbd make what is new there, and stops without it.
sed '/^AccountingStorageTRES=/Id' /etc/slurm/slurm.conf > "$copy/slurm.conf"
mount --bind "$copy/slurm.conf" /etc/slurm/slurm.conf
mount --bind "$copy" "$state"
mkdir -p /run/slurmctld
mount -t tmpfs none /run/slurmctld
chown slurm: /run/slurmctld
# Its own addresses, as it refuses to start without one that it could listen on.
for address in $(sed -n 's/^SlurmctldHost=.*(\(.*\))/\1/p' /etc/slurm/slurm.conf) 192.0.2.1; do
  ip address add "$address/32" dev lo 2>/dev/null
done
slurmctld -D -c >"$copy/log" 2>&1 &
while [ $SECONDS -lt 40 ]; do
  { kill -0 $! && ! grep -q 'Running as primary' "$copy/log"; } 2>/dev/null || break
  sleep 0.1
done
running=$(kill -0 $! 2>/dev/null && echo yes)
kill -KILL $! 2>/dev/null
[ -z "$running" ] || exit 0
grep -E 'error:|fatal:' "$copy/log" | grep -vE 'MailProg|_xgetaddrinfo|slurmdbd|[Pp]ersist|Association database'
exit 1
