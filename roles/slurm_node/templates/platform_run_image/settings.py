"""What the site says; written by the role slurm_node."""

# A module of this package.
RUNTIME = "{{ slurm_node_container_runtime }}"
# Words for the runtime's command line, for instance to let devices in.
OPTIONS = """{{ slurm_node_container_options | join('\n') }}""".splitlines()
REGISTRY = "{{ slurm_node_image_registry }}"
# Folders that containers see at the same place.
BINDS = "{{ slurm_node_image_binds | join(' ') }}".split()  # noqa: SIM905
