"""What the site says; written by the role slurm_node."""

from urllib.parse import unquote

# A module of this package.
RUNTIME = "{{ slurm_node_container_runtime }}"
# Words for the runtime's command line, for instance to let devices in; encoded, as they may hold quotes.
_OPTIONS = "{{ slurm_node_container_options | map('urlencode') | join(' ') }}"
OPTIONS = [unquote(word) for word in _OPTIONS.split()]
REGISTRY = "{{ slurm_node_image_registry }}"
# Folders that containers see at the same place.
BINDS = "{{ slurm_node_image_binds | join(' ') }}".split()  # noqa: SIM905
