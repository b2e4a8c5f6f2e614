#!/bin/bash
# Written by platformctl. Brings the cluster to what /etc/kubernetes/kubeadm.yaml says; prints `made`, `changed` or
# nothing.
#
# usage: platformctl-kubeadm NODE
#
# .platformctl-started says that platformctl began to make this host a member, so that a broken beginning may be wiped;
# .platformctl-applied holds the digest of the configuration that was applied last; it is empty while one is applied.
# .platformctl-moving says that a change of the host's address has begun.
set -eu
node=$1
cd /etc/kubernetes
# What the API server has in its environment once it runs with this configuration.
digest=$(sed -n 's/.*name: PLATFORMCTL_CONFIGURATION, value: "\(.*\)".*/\1/p' kubeadm.yaml)
address=$(sed -n 's/^ *advertiseAddress: *//p' kubeadm.yaml | head -n1)
quota=$(sed -n 's/.*name: quota-backend-bytes, value: "\(.*\)".*/\1/p' kubeadm.yaml)
# A run whose operator has gone may still be at work.
exec 9>/run/platformctl-kubeadm.lock
flock 9
wanted=$(sha256sum < kubeadm.yaml)
wait_for_api() {
  for _ in $(seq 240); do
    if grep -qsz "^PLATFORMCTL_CONFIGURATION=$digest\$" /proc/[0-9]*/environ &&
      grep -qsz "^--advertise-address=$address\$" /proc/[0-9]*/cmdline &&
      grep -qsz "^--quota-backend-bytes=$quota\$" /proc/[0-9]*/cmdline &&
      kubectl --kubeconfig admin.conf get --raw /readyz >/dev/null 2>&1; then
      return 0
    fi
    sleep 0.5
  done
  echo "the API server did not come up with the new configuration; its last words:" >&2
  tail --quiet --lines=3 /var/log/pods/kube-system_kube-apiserver-*/kube-apiserver/*.log >&2
  return 1
}

system() { kubectl --kubeconfig admin.conf --namespace kube-system "$@"; }
proxy_settings() { system get configmap kube-proxy --output 'jsonpath={.data}'; }

# A kubelet that runs while no API server answers ends no static pod, not even one whose manifest has changed, and the
# old etcd keeps the ports of the new one. So it is stopped, the old servers end here, and it starts with new manifests.
# What works through the API has read the old address from its kubeconfig, and would look for it there.
end_old_servers() {
  systemctl stop kubelet
  rm -f manifests/{etcd,kube-apiserver}.yaml
  for name in kube-controller-manager kube-scheduler kube-apiserver etcd; do
    for signal in TERM KILL; do
      old=$(ctr --namespace k8s.io containers list --quiet "labels.\"io.kubernetes.container.name\"==$name")
      for container in $old; do
        ctr --namespace k8s.io tasks kill --signal "$signal" "$container" 2>/dev/null || true
      done
      for _ in $(seq 40); do
        pgrep --exact "${name:0:15}" >/dev/null || break 2
        sleep 0.25
      done
    done
  done
}

# The certificates of servers hold their address, and so do the kubeconfigs of what runs beside the API server.
sign_again() {
  end_old_servers
  rm -f pki/apiserver.{crt,key} pki/etcd/{server,peer}.{crt,key} {controller-manager,scheduler}.conf
  for certificate in apiserver etcd-server etcd-peer; do
    kubeadm init phase certs "$certificate" --config kubeadm.yaml >&2
  done
  for kubeconfig in controller-manager scheduler; do
    kubeadm init phase kubeconfig "$kubeconfig" --config kubeadm.yaml >&2
  done
  sed --in-place "s#^\( *server: https://\)[0-9.]*:6443#\1$address:6443#" kubelet.conf
  kubeadm init phase etcd local --config kubeadm.yaml >&2
}

# What is left to do once the API server answers at the new address. Pods in the host's network have a copy of
# /etc/hosts from when they started, and look for the API server at its old address.
follow() {
  etcdctl() {
    system exec "etcd-$node" -- etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt \
      --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key "$@"
  }
  # The API server talks to the kubelet only if its certificate has the new address.
  /usr/local/sbin/platformctl-kubelet-certificates "$node" >&2
  /usr/local/sbin/platformctl-node-addresses "$node=$address" >&2
  member=$(etcdctl member list | sed -n "s/^\([0-9a-f]*\), [a-z]*, $node,.*/\1/p")
  etcdctl member update "$member" "--peer-urls=https://$address:2380" >&2
  system rollout restart daemonset/kube-proxy >&2
  kubectl --kubeconfig admin.conf --namespace kube-flannel rollout restart daemonset/flannel >&2
  rm .platformctl-moving
}

if [ "$wanted" = "$(cat .platformctl-applied 2>/dev/null || true)" ]; then
  wait_for_api
  exit
fi
if [ -e .platformctl-applied ]; then
  proxy_before=$(proxy_settings 2>/dev/null || true)
  # A change that broke off left no digest, and then nobody knows what kube-proxy runs with.
  [ -s .platformctl-applied ] || proxy_before=unknown
  : > .platformctl-applied
  grep -qs -- "--advertise-address=$address\$" manifests/kube-apiserver.yaml || touch .platformctl-moving
  [ ! -e .platformctl-moving ] || sign_again
  # CoreDNS is left alone: kubeadm knows only the versions up to its own, and none of our settings concern it.
  # The only setting of etcd that can change. Its manifest is left alone otherwise: etcd restarts with it.
  grep -qs -- "--quota-backend-bytes=$quota\$" manifests/etcd.yaml ||
    kubeadm init phase etcd local --config kubeadm.yaml >&2
  kubeadm init phase control-plane all --config kubeadm.yaml >&2
  [ ! -e .platformctl-moving ] || systemctl start kubelet
  wait_for_api
  kubeadm init phase upload-config kubeadm --config kubeadm.yaml >&2
  kubeadm init phase addon kube-proxy --config kubeadm.yaml >&2
  [ "$proxy_before" = "$(proxy_settings)" ] ||
    system rollout restart daemonset/kube-proxy >&2
  [ ! -e .platformctl-moving ] || follow
  echo changed
else
  if [ -e .platformctl-started ]; then
    kubeadm reset --force >&2
    [ ! -d /var/lib/etcd ] || find /var/lib/etcd -mindepth 1 ! -path "/var/lib/etcd/lost+found*" -delete
  fi
  : > .platformctl-started
  # On a disk of its own lies what belongs to its file system.
  full=
  if mountpoint --quiet /var/lib/etcd && [ "$(ls -A /var/lib/etcd)" = lost+found ]; then
    full=--ignore-preflight-errors=DirAvailable--var-lib-etcd
  fi
  kubeadm init --config kubeadm.yaml $full >&2
  /usr/local/sbin/platformctl-kubelet-certificates "$node" >&2
  echo made
fi
# kubeadm makes it readable for everybody.
chmod 0600 /var/lib/kubelet/config.yaml
printf '%s\n' "$wanted" > .platformctl-applied
