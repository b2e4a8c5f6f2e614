#!/bin/sh
# runtime_classes NAMES: applies the runtime classes that standard input has, and removes platformctl's others. NAMES:
# those that stay, with commas between. With the last class its policies go. Prints what it changes.
set -eu
export KUBECONFIG=/etc/kubernetes/admin.conf
ours=app.kubernetes.io/managed-by=platformctl
policies=mutatingadmissionpolicies,mutatingadmissionpolicybindings
policies=$policies,validatingadmissionpolicies,validatingadmissionpolicybindings
if [ -n "$1" ]; then
  # With --force what cannot be changed, such as a handler, is made anew.
  kubectl apply --force -f -
  kubectl delete runtimeclasses --ignore-not-found --selector "$ours,platformctl.io/class notin ($1)"
else
  kubectl delete "runtimeclasses,$policies" --ignore-not-found --selector "$ours,platformctl.io/class"
fi
