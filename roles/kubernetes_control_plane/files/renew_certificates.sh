#!/bin/bash
# Written by platformctl. When one of the certificates that kubeadm made has fewer than DAYS left, renews all of them
# and restarts the control plane, which reads them when it starts: its API is away for about half a minute, pods run on.
#
# usage: platformctl-kubernetes-certificates DAYS
#
# .platformctl-renewing says that a renewal has begun, after which something may still run with an old certificate.
set -eu -o pipefail
days=$1
export KUBECONFIG=/etc/kubernetes/admin.conf
cd /etc/kubernetes
exec 9>/run/platformctl-kubeadm.lock
flock 9

# Whether the pod of this part is the one with that stamp, and runs.
stands() {
  kubectl --request-timeout 5s --namespace kube-system get pods --selector "component=$1" --output \
    'jsonpath={.items[*].metadata.annotations.platformctl\.io/renewed} {.items[*].status.phase}' \
    2>/dev/null | grep -qx "$2 Running"
}

left=$(
  kubeadm certs check-expiration --config kubeadm.yaml --output json |
    python3 -c 'import json, sys
print(min(item["residualTime"] for item in json.load(sys.stdin)["certificates"] if not item.get("missing")))'
)
[ -e .platformctl-renewing ] || [ "$left" -lt $((days * 86400)) ] || exit 0
touch .platformctl-renewing
kubeadm certs renew all --config kubeadm.yaml
stamp=$(date +%s)
parts=(etcd kube-apiserver kube-controller-manager kube-scheduler)
for part in "${parts[@]}"; do
  # The kubelet replaces a pod whose manifest changes, and takes any file in this folder for one at once.
  kubectl annotate --local --overwrite --filename "manifests/$part.yaml" "platformctl.io/renewed=$stamp" \
    --output yaml > ".$part.yaml"
  chmod 0600 ".$part.yaml"
  mv ".$part.yaml" "manifests/$part.yaml"
done
for part in "${parts[@]}"; do
  for _ in $(seq 360); do
    ! stands "$part" "$stamp" || continue 2
    sleep 0.5
  done
  echo "$part did not come up with its new certificate; see /var/log/pods/kube-system_$part-*" >&2
  exit 1
done
rm .platformctl-renewing
