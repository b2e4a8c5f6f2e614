"""Reads the volumes of a pod template."""

import re
from typing import Any

from platformctl.jobs.field_reader import FieldReader
from platformctl.jobs.fields import BY_PATH
from platformctl.jobs.model import Volume
from platformctl.vocabulary import HOME_CLAIM_PREFIX, OWN_PREFIX

MAX_VOLUMES = 64

_ROW = "spec.volumes[]."
_KINDS = tuple(path.removeprefix(_ROW) for path in BY_PATH if path.startswith(_ROW))[1:]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
# Volumes that Kubernetes has and jobs have not: they would reach files of the node or of a foreign server.
_FOREIGN = frozenset(
    {
        *(
            "awsElasticBlockStore",
            "azureDisk",
            "azureFile",
            "cephfs",
            "cinder",
            "fc",
            "flexVolume",
            "flocker",
        ),
        *("gcePersistentDisk", "gitRepo", "glusterfs", "hostPath", "iscsi", "nfs", "photonPersistentDisk"),
        *("portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"),
    }
)


def read_volumes(fields: FieldReader, value: Any, path: str) -> tuple[Volume, ...]:
    """The volumes, each of one kind and with a name of its own."""
    volumes: list[Volume] = []
    for number, item in enumerate(fields.reader.items(value, path, MAX_VOLUMES)):
        here = f"{path}[{number}]"
        volume = _volume(fields, item, here)
        if volume.name in {other.name for other in volumes}:
            fields.reader.refuse(f"{here}.name", "is the name of another volume too")
        volumes.append(volume)
    return tuple(volumes)


def _volume(fields: FieldReader, value: Any, path: str) -> Volume:
    given = fields.reader.mapping(value, path)
    foreign = sorted(key for key in given if key in _FOREIGN)
    for key in foreign:
        why = "is not supported: jobs are kept apart from the host and from foreign servers; use a"
        fields.reader.refuse(f"{path}.{key}", f"{why} persistentVolumeClaim, or an emptyDir")
    entry = fields.known({key: item for key, item in given.items() if key not in _FOREIGN}, path, _ROW)
    name = fields.reader.text(entry.pop("name", None), f"{path}.name", 63) or ""
    if not _NAME.fullmatch(name) or name.startswith(OWN_PREFIX):
        fields.reader.refuse(
            f"{path}.name", f"must be lower-case letters, digits and '-', and not begin with {OWN_PREFIX}"
        )
    unknown = [key for key in given if key != "name" and key not in _KINDS and key not in _FOREIGN]
    if len(entry) != 1 and not foreign and not unknown:
        fields.reader.refuse(path, f"must have one kind: {', '.join(_KINDS)}")
    kind, source = next(iter(entry.items()), ("", {}))
    source = source if isinstance(source, dict) else {}
    claim = source.get("claimName") if kind == "persistentVolumeClaim" else None
    if isinstance(claim, str) and claim.startswith(HOME_CLAIM_PREFIX):
        fields.reader.refuse(
            f"{path}.{kind}.claimName", "is a home; yours is mounted anyway, so leave the volume out"
        )
    return Volume(name, kind, source)
