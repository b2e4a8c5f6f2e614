#!/bin/bash
# Written by platformctl. Brings the cluster to what /etc/kubernetes/kubeadm.yaml says; prints `made`, `changed` or
# nothing.
#
# usage: platformctl-kubeadm NODE DIGEST
# DIGEST is what the API server has in its environment once it runs with this configuration.
#
# .platformctl-started says that platformctl began to make this host a member, so that a broken beginning may be wiped;
# .platformctl-applied holds the digest of the configuration that was applied last; it is empty while one is applied.
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

proxy_settings() { kubectl --kubeconfig admin.conf --namespace kube-system get configmap kube-proxy --output 'jsonpath={.data}'; }

if [ -e .platformctl-applied ]; then
  proxy_before=$(proxy_settings)
  # A change that broke off left no digest, and then nobody knows what kube-proxy runs with.
  [ -s .platformctl-applied ] || proxy_before=unknown
  : > .platformctl-applied
  # CoreDNS is left alone: kubeadm knows only the versions up to its own, and none of our settings concern it.
  kubeadm init phase control-plane all --config kubeadm.yaml >&2
  wait_for_api
  kubeadm init phase upload-config kubeadm --config kubeadm.yaml >&2
  kubeadm init phase addon kube-proxy --config kubeadm.yaml >&2
  [ "$proxy_before" = "$(proxy_settings)" ] ||
    kubectl --kubeconfig admin.conf --namespace kube-system rollout restart daemonset/kube-proxy >&2
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
