#!/bin/sh
# label_nodes NODES: brings the nodes' labels for devices and runtimes to what standard input says, one `NODE KEY=VALUE` a line.
# Prints each label that it changes.
set -eu
export KUBECONFIG=/etc/kubernetes/admin.conf
work=$(mktemp --directory --tmpdir=/run platformctl-labels-XXXXXX)
trap 'rm -rf "$work"' EXIT
sed '/^$/d' | sort > "$work/wanted"
for node in $1; do
  # As JSON on one line; neither keys nor values of labels have any of its letters.
  kubectl get node "$node" --output jsonpath='{.metadata.labels}' | tr ',{}' '\n' | sed 's/"//g; s/:/=/' |
    sed -n "\#^\(devices\|runtimes\).platformctl.io/#s/^/$node /p; \#^platformctl.io/device-class=#s/^/$node /p"
done | sort > "$work/there"
comm -23 "$work/wanted" "$work/there" | while read -r node label; do
  kubectl label --overwrite node "$node" "$label" > "$work/said"
  echo "$node $label"
done
comm -13 "$work/wanted" "$work/there" | while read -r node label; do
  key=${label%%=*}
  if ! grep -q "^$node $key=" "$work/wanted"; then
    kubectl label node "$node" "$key-" > "$work/said"
    echo "$node $key-"
  fi
done
