"""platformctl: Kubernetes and Slurm side by side on bare hosts, from one Ansible inventory."""

# The one place of the version: the build reads it here, and tests hold the charts to it.
__version__ = "0.1.0"
