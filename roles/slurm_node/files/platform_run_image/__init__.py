"""Runs a command of a Slurm job in a container image with the container runtime that the site chose.

`settings` is what the site says, `names` what an image's name means, `registry` talks to the site's registry,
`layers` unpacks, `cache` keeps what is unpacked, `images` brings these together. `unpacked` says what a
container made of an unpacked image needs, and one module for each runtime, named as the variable
slurm_node_container_runtime names it, has `start(name, words, wishes)`: the command line, whose first word
is the program's path, and its environment.
"""

# Where the host's own programs are; the job's PATH is what the job makes of it.
HOST_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


class ImageError(Exception):
    """The image cannot be had; the message says why."""
