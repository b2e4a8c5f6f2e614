# Gives a host that can move to its first owner; prints it if nobody had decided that before.
# usage: first_owner OWNER LEAVE, where LEAVE is the text of leave_kubernetes.sh.
set -eu
owner=/var/lib/platformctl/owner
# For Kubernetes, the role slurm_node may have made the folder in the meantime; the node still has its taint.
[ ! -e "$owner/given" ] || exit 0
mkdir -p "$owner/$1"
[ "$1" != slurm ] || sh -c "$2"
mkdir "$owner/given"
echo "$1"
