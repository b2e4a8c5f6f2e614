#!/bin/sh
# forget_cpus POLICY RESERVED: removes the notes of the kubelet's CPU manager if it has run with another policy or with
# other reserved CPUs, and prints `forgot`. The kubelet is stopped, and starts again with its new settings.
set -eu
notes=/var/lib/kubelet/cpu_manager_state
settings=/etc/kubernetes/kubelet.conf.d/50-platformctl.conf
[ -e "$notes" ] && [ -e "$settings" ] || exit 0

value() { sed -n "s/^$1: *['\"]\{0,1\}\([^'\"]*\)['\"]\{0,1\} *$/\1/p" "$settings"; }
policy=$(value cpuManagerPolicy)
reserved=$(value reservedSystemCPUs)
[ "${policy:-none}" = "$1" ] && [ "$reserved" = "$2" ] && exit 0
systemctl stop kubelet.service
rm -f "$notes"
echo forgot
