#!/usr/bin/env bash
# Prints `others` where containerd has data of others: in a namespace that is not the kubelet's, or because there was
# data before (the record of host_before says so). Then only what the kubelet's namespace has is removed here.
set -uo pipefail
others=
python3 - <<'END' && others=yes
import json, pathlib, sys
path = pathlib.Path("/var/lib/platformctl/before/takeover.json")
stays = json.loads(path.read_text()).get("stays", []) if path.is_file() else []
sys.exit(0 if "/var/lib/containerd" in stays else 1)
END
for namespace in $(ctr --connect-timeout 5s namespaces list --quiet 2>/dev/null); do
  [ "$namespace" != k8s.io ] || continue
  [ -z "$(ctr -n "$namespace" containers list -q; ctr -n "$namespace" images list -q)" ] || others=yes
done
[ -n "$others" ] || exit 0
for task in $(ctr -n k8s.io tasks list -q 2>/dev/null); do
  ctr -n k8s.io tasks kill --all --signal SIGKILL "$task"
  ctr -n k8s.io tasks delete --force "$task"
done >&2
ctr -n k8s.io containers list -q 2>/dev/null | xargs -r ctr -n k8s.io containers delete >&2
ctr -n k8s.io images list -q 2>/dev/null | xargs -r ctr -n k8s.io images delete --sync >&2
ctr namespaces remove k8s.io >&2
echo others
