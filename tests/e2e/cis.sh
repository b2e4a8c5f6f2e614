#!/bin/sh
# What the checks of cis.yml use. Each helper succeeds where what it is asked for holds for all that it is given.
# shellcheck disable=SC2329  # the checks, which follow this file, call them
set -u
export KUBECONFIG=/etc/kubernetes/admin.conf
# Asked once, and only on the control plane. Nothing here writes anything.
rights=
configurations=
if [ -e "$KUBECONFIG" ]; then
  rights=$(kubectl get clusterroles,roles,clusterrolebindings,rolebindings -A -o json)
  configurations=$(for node in $(kubectl get nodes -o jsonpath='{.items[*].metadata.name}'); do
    kubectl get --raw "/api/v1/nodes/$node/proxy/configz"
    echo
  done)
fi

# mode MOST FILE...: no file has a permission that MOST has not.
mode() {
  most=$1
  shift
  for file; do
    found=$(stat -Lc %a "$file") && [ $((0$found & ~0$most & 07777)) -eq 0 ] || return 1
  done
}

# roots FILE...: they belong to root.
roots() {
  for file; do
    [ "$(stat -Lc %U:%G "$file")" = root:root ] || return 1
  done
}

# flag PROGRAM PATTERN: its static pod has an option that matches.
flag() { grep -Eq -- "^ +- --$2\$" "/etc/kubernetes/manifests/$1.yaml"; }
no_flag() { test -e "/etc/kubernetes/manifests/$1.yaml" && ! flag "$1" "$2"; }

# pod_security LEVELS: what is enforced in a namespace that says nothing else.
pod_security() { grep -Eq "^ +enforce: ($1)\$" /etc/kubernetes/apiserver/admission.yaml; }

# kubelets EXPRESSION: true for the configuration that each kubelet runs with, `kubelet`.
kubelets() {
  printf '%s\n' "$configurations" | python3 -c '
import json, sys
found = [json.loads(line)["kubeletconfig"] for line in sys.stdin]
sys.exit(not (found and all(eval(sys.argv[1], {"kubelet": kubelet}) for kubelet in found)))
' "$1"
}

# nobody VERBS RESOURCES [BINDING...]: but for these bindings, those of Kubernetes itself and of administrators, no
# binding gives one of the verbs on one of the resources, which are named RESOURCE.GROUP. '*' for both asks for wildcards.
nobody() {
  printf '%s\n' "$rights" | python3 -c '
import json, sys
items = json.load(sys.stdin)["items"]
verbs, resources, ours = set(sys.argv[1].split()), set(sys.argv[2].split()), sys.argv[3:]
key = lambda kind, item, name: (kind, item["metadata"].get("namespace") if kind == "Role" else None, name)
roles = {key(item["kind"], item, item["metadata"]["name"]): item.get("rules") or () for item in items if "roleRef" not in item}
found = set()
for item in items:
    name = item["metadata"]["name"]
    if "roleRef" not in item or name.startswith("system:") or name in ("cluster-admin", "kubeadm:cluster-admins", *ours):
        continue
    for rule in roles.get(key(item["roleRef"]["kind"], item, item["roleRef"]["name"]), ()):
        of = {part + (f".{group}" if group else "") for part in rule.get("resources", ()) for group in rule.get("apiGroups", ("",))}
        any_of = "*" in rule.get("resources", ()) or "*" in rule.get("apiGroups", ())
        if verbs == {"*"}:
            found |= {name} if any_of or "*" in rule["verbs"] else set()
        elif verbs & {*rule["verbs"]} or "*" in rule["verbs"]:
            found |= {name} if resources & of or any_of else set()
print(*sorted(found), file=sys.stderr)
sys.exit(bool(found))
' "$@"
}
