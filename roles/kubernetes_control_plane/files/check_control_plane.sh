#!/bin/bash
# Tries the control plane's files with the programs that read them, in namespaces where they are already in place.
# Before the cluster is made there is only kubeadm, and nothing that could break.
set -u
cd /etc/kubernetes || exit 1
kubeadm config validate --config kubeadm.yaml 2>&1 | grep -v '^ok$'
[ -e .platformctl-applied ] || exit 0

image=$(sed -n 's/^ *image: *\(.*kube-apiserver:.*\)/\1/p' manifests/kube-apiserver.yaml)
root=$(mktemp --directory --tmpdir=/run platformctl-apiserver-XXXXXX)
trap 'ctr --namespace k8s.io images unmount --rm "$root" >/dev/null 2>&1; rmdir "$root" 2>/dev/null' EXIT
ctr --namespace k8s.io images mount "$image" "$root" >/dev/null 2>&1 || exit 0

# The manifest of the new configuration; it lands in this namespace only.
kubeadm init phase control-plane apiserver --config kubeadm.yaml >/dev/null 2>&1
mapfile -t options < <(sed -n 's/^    - \(--.*\)/\1/p' manifests/kube-apiserver.yaml)
address=$(sed -n 's/^advertiseAddress: *//p; s/^ *advertiseAddress: *//p' kubeadm.yaml | head -n1)
ip address add "${address:-192.0.2.1}/32" dev lo
mount -t tmpfs none /var/log/kubernetes
log=/var/log/kubernetes/trial
# Without this feature it asks etcd, which nobody reaches from here, only after it has read all its files.
"$root"/usr/local/bin/kube-apiserver "${options[@]}" --feature-gates=UnknownVersionInteroperabilityProxy=false >$log 2>&1 &
trial=$!
# So that bash does not say that it was killed, which would pass for a mistake.
disown
while [ $SECONDS -lt 100 ]; do
  { kill -0 $trial && ! grep -q 'Using reconciler:' $log; } 2>/dev/null || break
  sleep 0.2
done
kill -KILL $trial 2>/dev/null
grep -E 'strict decoding error|"command failed"|^Error: ' $log | sed 's/.* err=//; s/\\"/"/g'
exit 0
