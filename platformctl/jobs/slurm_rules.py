"""A Queue's options for Slurm."""

from typing import Any

from platformctl.jobs.reader import Reader

QUEUE_OPTIONS = ("partition", "qos")


def queue_options(reader: Reader, options: dict[str, Any], path: str) -> dict[str, Any]:
    """A Queue's fields for Slurm: partition and qos."""
    return {key: reader.name(options.get(key), f"{path}.{key}") for key in QUEUE_OPTIONS}
