"""Reads the pod template of a Job: one container, and the few pod fields that the table of fields allows."""

import re
from collections.abc import Mapping
from typing import Any

from platformctl.jobs.fields import BY_PATH, Field, Handling
from platformctl.jobs.model import BACKENDS, Container, PodOptions, Refusal, Resources, Target
from platformctl.jobs.quantity import ceiling, parse_quantity
from platformctl.jobs.quoting import MAX_EXPANDED, expand_environment, expand_references
from platformctl.jobs.reader import Reader
from platformctl.vocabulary import GPU, OWN_PREFIX

MAX_CPUS, MAX_MEMORY, MAX_GPUS = 8192, 64 * 1024**4, 1024

# The home's path is known only when the job is translated; this is the longest possible one.
_LONG_HOME = "/" + "x" * 254
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}", re.ASCII)
_LABEL_KEY = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_ROOT = "spec.template"


class TemplateReader:
    """Reads one template. Mistakes go to `reader`; what a back end does not support goes to `unsupported`."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.unsupported: dict[Target, list[Refusal]] = {target: [] for target in BACKENDS}

    def read(self, template: Any) -> tuple[Container | None, PodOptions]:
        """The container and pod options; None if the template has no usable container."""
        root = self._known(template, _ROOT, "")
        self._known(root.get("metadata"), f"{_ROOT}.metadata", "metadata.")
        pod = self._known(root.get("spec"), f"{_ROOT}.spec", "spec.")
        path = f"{_ROOT}.spec"
        self._known(pod.get("securityContext"), f"{path}.securityContext", "spec.securityContext.")
        if pod.get("restartPolicy", "Never") != "Never":
            self.reader.refuse(f"{path}.restartPolicy", "must be Never: a job runs once")
        volumes = self._volumes(pod.get("volumes"), f"{path}.volumes")
        container = self._only_container(pod.get("containers"), f"{path}.containers")
        for name, _ in container.mounts if container else ():
            if name not in volumes:
                self.reader.refuse(
                    f"{path}.containers[0].volumeMounts", f"names the unknown volume {name[:63]!r}"
                )
        return container, PodOptions(
            node_selector=self._labels(pod.get("nodeSelector"), f"{path}.nodeSelector"),
            volumes=volumes,
            grace_seconds=self.reader.whole(
                pod.get("terminationGracePeriodSeconds"), f"{path}.terminationGracePeriodSeconds", 0, 3600
            ),
        )

    def _known(self, value: Any, path: str, prefix: str) -> dict[str, Any]:
        """An object's fields that at least one back end supports; the table refuses the others."""
        kept = {}
        for key, item in self.reader.mapping(value, path).items():
            if not prefix and key in ("metadata", "spec"):
                kept[key] = item
                continue
            row = BY_PATH.get(prefix + key)
            if row is None:
                self.reader.refuse(
                    f"{path}.{key[:253]}", "is not a field of a pod template that jobs can use"
                )
            elif item in row.harmless and type(item) in {type(value) for value in row.harmless}:
                if Handling.MAPPED in row.handlings.values():
                    kept[key] = item
            elif set(row.handlings.values()) == {Handling.REFUSED}:
                self.reader.refuse(f"{path}.{key}", f"is not supported: {row.note}")
            else:
                self._note_unsupported(f"{path}.{key}", row)
                kept[key] = item
        return kept

    def _note_unsupported(self, path: str, row: Field) -> None:
        for target, handling in row.handlings.items():
            if handling is Handling.REFUSED:
                self.unsupported[target].append(Refusal(path, f"is not supported on {target}: {row.note}"))

    def _only_container(self, value: Any, path: str) -> Container | None:
        containers = self.reader.items(value, path, 64)
        if len(containers) != 1:
            self.reader.refuse(path if not containers else f"{path}[1]", "a job has exactly one container")
            return None
        return self._container(containers[0], f"{path}[0]")

    def _container(self, value: Any, path: str) -> Container | None:
        reader = self.reader
        fields = self._known(value, path, "spec.containers[].")
        self._known(
            fields.get("securityContext"), f"{path}.securityContext", "spec.containers[].securityContext."
        )
        name = reader.text(fields.get("name"), f"{path}.name", 63) or ""
        if not _DNS_LABEL.fullmatch(name):
            reader.refuse(f"{path}.name", "must be lower-case letters, digits and '-'")
        image = reader.text(fields.get("image"), f"{path}.image", 512) or ""
        if not _IMAGE.fullmatch(image):
            reader.refuse(
                f"{path}.image", "must be the name of an image, such as docker.io/library/debian:13"
            )
        command = reader.texts(fields.get("command"), f"{path}.command", 1024, 131072)
        args = reader.texts(fields.get("args"), f"{path}.args", 1024, 131072)
        if not command:
            self.unsupported[Target.SLURM].append(
                Refusal(f"{path}.command", "must be set: Slurm does not read the image's entry point")
            )
        pull_policy = fields.get("imagePullPolicy")
        if pull_policy is not None and pull_policy not in _PULL_POLICIES:
            reader.refuse(f"{path}.imagePullPolicy", f"must be one of {', '.join(_PULL_POLICIES)}")
        env = self._env(fields.get("env"), f"{path}.env")
        self._bounded(env, (*command, *args), path)
        return Container(
            name=name,
            image=image,
            command=command,
            args=args,
            env=env,
            resources=self._resources(fields.get("resources"), f"{path}.resources"),
            working_dir=self._absolute(fields.get("workingDir"), f"{path}.workingDir"),
            pull_policy=pull_policy if pull_policy in _PULL_POLICIES else None,
            mounts=self._mounts(fields.get("volumeMounts"), f"{path}.volumeMounts"),
        )

    def _bounded(self, env: tuple[tuple[str, str], ...], words: tuple[str, ...], path: str) -> None:
        """Refuse `$(NAME)` references that grow without limit: router and kubelet would store them."""
        try:
            values = expand_environment([("HOME", _LONG_HOME), *env])
        except ValueError as error:
            self.reader.refuse(f"{path}.env", str(error))
            return
        size = 0
        for word in words:
            try:
                size += len(expand_references(word, values))
            except ValueError:
                size = MAX_EXPANDED + 1
            if size > MAX_EXPANDED:
                self.reader.refuse(
                    f"{path}.command",
                    f"becomes longer than {MAX_EXPANDED} characters by its $(NAME) references",
                )
                return

    def _absolute(self, value: Any, path: str) -> str | None:
        text = self.reader.text(value, path, 4096)
        if text is not None and (not text.startswith("/") or any(ord(letter) < 32 for letter in text)):
            self.reader.refuse(path, "must be an absolute path")
            return None
        return text

    def _env(self, value: Any, path: str) -> tuple[tuple[str, str], ...]:
        pairs = []
        for number, item in enumerate(self.reader.items(value, path, 1024)):
            here = f"{path}[{number}]"
            entry = self._known(item, here, "spec.containers[].env[].")
            name = self.reader.text(entry.get("name"), f"{here}.name", 128) or ""
            if not _ENV_NAME.fullmatch(name):
                self.reader.refuse(f"{here}.name", "must be letters, digits and '_', and begin with no digit")
            pairs.append((name, self.reader.text(entry.get("value"), f"{here}.value", 131072) or ""))
        return tuple(pairs)

    def _resources(self, value: Any, path: str) -> Resources:
        fields = self._known(value, path, "spec.containers[].resources.")
        levels = {
            level: self._level(fields.get(level), f"{path}.{level}") for level in ("requests", "limits")
        }
        most = {name: max(level.get(name, 0) for level in levels.values()) for name in ("cpu", "memory", GPU)}
        for name, amount in levels["requests"].items():
            if amount > levels["limits"].get(name, amount):
                self.reader.refuse(f"{path}.requests[{name}]", "is more than the limit")
            if name == GPU and levels["limits"].get(GPU) != amount:
                self.reader.refuse(f"{path}.requests[{name}]", "must equal the limit: devices are not shared")
        raw = {
            level: {name: str(fields[level][name]) for name in levels[level]}
            for level in levels
            if levels[level]
        }
        return Resources(
            millicores=most["cpu"],
            memory=most["memory"],
            gpus=most[GPU],
            requests=raw.get("requests", {}),
            limits=raw.get("limits", {}),
        )

    def flat_resources(self, value: Any, path: str) -> Resources:
        """What one task of a script needs; each quantity is both request and limit."""
        quantities = self.reader.mapping(value, path)
        level = self._level(quantities, path)
        raw = {name: str(quantities[name]) for name in level}
        return Resources(level.get("cpu", 0), level.get("memory", 0), level.get(GPU, 0), raw, raw)

    def _level(self, value: Any, path: str) -> dict[str, int]:
        """cpu in millicores, memory in bytes, GPUs in devices; zero means absent."""
        scales = {"cpu": (1000, MAX_CPUS), "memory": (1, MAX_MEMORY), GPU: (1, MAX_GPUS)}
        amounts = {}
        for name, item in self.reader.mapping(value, path).items():
            here = f"{path}[{name[:253]}]"
            if name not in scales:
                self.reader.refuse(here, f"is not supported: ask for {', '.join(scales)}")
                continue
            quantity = self.reader.convert(item, here, parse_quantity)
            scale, most = scales[name]
            if quantity is None:
                continue
            if quantity > most:
                self.reader.refuse(here, "is more than any site has")
            elif quantity <= 0:
                self.reader.refuse(here, "must be more than zero")
            elif name == GPU and quantity.denominator != 1:
                self.reader.refuse(here, "must be a whole number of devices")
            else:
                amounts[name] = ceiling(quantity * scale)
        return amounts

    def _volumes(self, value: Any, path: str) -> tuple[str, ...]:
        names: list[str] = []
        for number, item in enumerate(self.reader.items(value, path, 32)):
            here = f"{path}[{number}]"
            entry = self._known(item, here, "spec.volumes[].")
            name = self.reader.text(entry.get("name"), f"{here}.name", 63) or ""
            if not _DNS_LABEL.fullmatch(name) or name.startswith(OWN_PREFIX) or name in names:
                self.reader.refuse(
                    f"{here}.name", "must be a unique name: lower-case letters, digits and '-'"
                )
            if entry.get("emptyDir") != {}:
                self.reader.refuse(f"{here}.emptyDir", "must be {}: other volumes are not supported yet")
            names.append(name)
        return tuple(names)

    def _mounts(self, value: Any, path: str) -> tuple[tuple[str, str], ...]:
        mounts = []
        for number, item in enumerate(self.reader.items(value, path, 32)):
            here = f"{path}[{number}]"
            entry = self._known(item, here, "spec.containers[].volumeMounts[].")
            name = self.reader.text(entry.get("name"), f"{here}.name", 63) or ""
            where = self._absolute(entry.get("mountPath"), f"{here}.mountPath")
            if entry.get("mountPath") is None or ":" in (where or ""):
                self.reader.refuse(f"{here}.mountPath", "must be an absolute path without ':'")
            mounts.append((name, where or "/"))
        return tuple(mounts)

    def _labels(self, value: Any, path: str) -> Mapping[str, str]:
        labels = self.reader.text_map(value, path, 64)
        for key, text in labels.items():
            if not _LABEL_KEY.fullmatch(key):
                self.reader.refuse(f"{path}[{key[:253]}]", "is not the key of a label")
            if not _LABEL_VALUE.fullmatch(text):
                self.reader.refuse(f"{path}[{key[:253]}]", "is not a label value")
        return labels
