"""platformctl: Kubernetes and Slurm side by side on bare hosts, from one Ansible inventory."""

from importlib.metadata import version

__version__ = version("platformctl")
