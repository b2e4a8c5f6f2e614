"""A kind cluster for charts on a cluster that others made: `make kind`.

Containerfile   the node image, where the public one cannot be pulled
node_image.py   what goes into it
cluster.py      kind with podman: make the cluster, its network, its images; remove it
__main__.py     the command
site.py         the site on it, as a user has it
last_release.py what an upgrade begins at
"""
