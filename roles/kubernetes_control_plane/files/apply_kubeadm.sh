#!/bin/bash
# Written by platformctl. Brings the cluster to what /etc/kubernetes/kubeadm.yaml says; prints `made`, `changed` or
# nothing.
#
# usage: platformctl-kubeadm NODE DIGEST
# DIGEST is what the API server has in its environment once it runs with this configuration.
#
# .platformctl-started says that platformctl began to make this host a member, so that a broken beginning may be wiped;
# .platformctl-applied holds the digest of the configuration that was applied last.
set -eu
node=$1 digest=$2
cd /etc/kubernetes
# A run whose operator has gone may still be at work.
exec 9>/run/platformctl-kubeadm.lock
flock 9
wanted=$(sha256sum < kubeadm.yaml)
[ "$wanted" != "$(cat .platformctl-applied 2>/dev/null || true)" ] || exit 0

wait_for_api() {
  for _ in $(seq 240); do
    if grep -qsz "^PLATFORMCTL_CONFIGURATION=$digest\$" /proc/[0-9]*/environ &&
      kubectl --kubeconfig admin.conf get --raw /readyz >/dev/null 2>&1; then
      return 0
    fi
    sleep 0.5
  done
  echo "the API server did not come up with the new configuration; see /var/log/pods/kube-system_kube-apiserver-*" >&2
  return 1
}

if [ -e .platformctl-applied ]; then
  for phase in 'control-plane all' 'upload-config kubeadm' 'addon kube-proxy' 'addon coredns'; do
    # shellcheck disable=SC2086 # a phase is two words
    kubeadm init phase $phase --config kubeadm.yaml >&2
  done
  wait_for_api
  echo changed
else
  if [ -e .platformctl-started ]; then
    kubeadm reset --force >&2
    rm -rf /var/lib/etcd
  fi
  touch .platformctl-started
  kubeadm init --config kubeadm.yaml >&2
  /usr/local/sbin/platformctl-kubelet-certificates "$node" >&2
  echo made
fi
printf '%s\n' "$wanted" > .platformctl-applied
