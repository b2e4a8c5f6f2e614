#!/bin/sh
# Ends the kubelet and all pods of a host that goes to Slurm, with their mounts and their network, which another time
# may be another one. What containerd notes of them, the kubelet removes when the host comes back.
set -eu
runtime() { ctr --namespace k8s.io "$@"; }
systemctl stop kubelet.service
for signal in TERM KILL; do
  for task in $(runtime tasks list --quiet); do
    runtime tasks kill --all --signal "$signal" "$task" 2>/dev/null || true
  done
  for _ in $(seq 20); do
    runtime tasks list | grep -q RUNNING || break 2
    sleep 0.25
  done
done
for task in $(runtime tasks list --quiet); do
  runtime tasks delete --force "$task" >/dev/null 2>&1 || true
done
awk 'index($2, "/var/lib/kubelet/pods/") == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do
  umount "$(printf '%b' "$mount")"
done
for link in cni0 flannel.1; do
  ip link delete "$link" 2>/dev/null || true
done
rm -rf /run/flannel
