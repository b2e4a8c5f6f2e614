#!/usr/bin/env bash
# Takes a host out of its cluster, if platformctl put it there; prints `left` when it did.
set -euo pipefail
marker=/etc/kubernetes/.platformctl-started
[ -e "$marker" ] || exit 0
# Only a member of the control plane has an etcd of ours, and the network's configuration is all that is ours of CNI.
[ ! -e /etc/kubernetes/manifests/etcd.yaml ] || echo etcd >> "$marker"
etcd=
! grep -qx etcd "$marker" || etcd=/var/lib/etcd
image=$(ctr --namespace k8s.io images list --quiet | grep -m1 /kube-proxy: || true)
stays=
# What is emptied may have been filled since with what was there before the installation: it is emptied once. A reset
# that was not whole may also have removed kubeadm already.
if ! grep -q '^emptied' "$marker" && command -v kubeadm >/dev/null; then
  kubeadm reset --force >&2 || stays=yes
fi
if [ -n "$image" ]; then
  for family in ip ip6; do
    for table in kube-proxy flannel-ipv4 flannel-ipv6; do
      ctr --namespace k8s.io run --rm --net-host --privileged "$image" "reset-$$" nft delete table "$family" "$table" 2>/dev/null || true
    done
  done
fi
# The kubelet and kube-router have chains in tables that others may use too. Of these only the chains go; a table that
# has nothing else goes whole. Debian's network plugins bring iptables along.
ours='KUBE-|traffic that comply to network policies'
for family in ip ip6; do
  for table in filter mangle nat; do
    saved=$("${family}tables-save" -t "$table" 2>/dev/null) || continue
    grep -qE "$ours" <<< "$saved" || continue
    left=$(grep -vE "$ours" <<< "$saved" || true)
    if grep -qE '^-A|^:[^ ]+ (-|DROP) ' <<< "$left" || ! nft delete table "$family" "$table" 2>/dev/null; then
      "${family}tables-restore" <<< "$left" || true
    fi
  done
done
router=$(ctr --namespace k8s.io images list --quiet | grep -m1 /kube-router: || true)
if [ -n "$router" ]; then
  sets() { ctr --namespace k8s.io run --rm --net-host --privileged "$router" "reset-$$-$RANDOM" ipset "$@" 2>/dev/null || true; }
  for name in $(sets list -name | grep -E '^(inet6:)?KUBE-(SRC|DST)-' || true); do
    sets destroy "$name"
  done
fi
for link in cni0 flannel.1; do
  ip link delete "$link" 2>/dev/null || true
done
mounted_below() { findmnt --raw --noheadings --output TARGET | awk -v folder="$1/" 'index($0, folder) == 1'; }
for folder in /var/lib/kubelet /var/lib/cni $etcd; do
  if grep -qx "emptied $folder" "$marker"; then
    continue
  fi
  # What is mounted below, such as a volume of a pod, is somebody's data: it is never emptied with the folder.
  mounted_below "$folder" | sort --reverse | while read -r mounted; do
    umount "$(printf %b "$mounted")" || true
  done
  if mounted_below "$folder" | grep . >&2; then
    echo "this is still mounted below $folder: unmount it, then repeat the reset" >&2
    stays=yes
  elif [ ! -d "$folder" ] || find "$folder" -mindepth 1 ! -path "$folder/lost+found*" -delete; then
    echo "emptied $folder" >> "$marker"
  else
    stays=yes
  fi
done
[ -z "$etcd" ] || rmdir --ignore-fail-on-non-empty "$etcd" 2>/dev/null || true
rm -rf /var/log/kubernetes /run/flannel /etc/cni/net.d/10-flannel.conflist || stays=yes
# The marker goes last: as long as it is there, the next reset tries all of this again. What somebody has mounted stays.
find /etc/kubernetes -xdev -mindepth 1 ! -path /etc/kubernetes/.platformctl-started -delete || stays=yes
[ -z "$stays" ] || exit 1
rm -rf /etc/kubernetes
echo left
