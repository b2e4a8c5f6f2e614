"""Reads one container of a pod template."""

import re
from collections.abc import Iterable
from typing import Any

from platformctl.jobs.field_reader import FieldReader
from platformctl.jobs.model import Container, Mount, Source, Target, Variables
from platformctl.jobs.quoting import MAX_EXPANDED, expand_environment, expand_references
from platformctl.jobs.template_resources import read_resources
from platformctl.vocabulary import OWN_PREFIX

_PREFIX = "spec.containers[]."
# The home's path is known only when the job is translated; this is the longest possible one.
_LONG_HOME = "/" + "x" * 254
CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}", re.ASCII)
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


class ContainerReader:
    """Reads the containers of one template: their names are unique, and their mounts name its volumes."""

    def __init__(self, fields: FieldReader, volumes: Iterable[str]) -> None:
        self._fields = fields
        self._reader = fields.reader
        self._volumes = frozenset(volumes)
        self._names: set[str] = set()

    def read(self, value: Any, path: str, *, init: bool = False) -> Container:
        """The container. What is wrong is refused, and absent in the result."""
        reader = self._reader
        fields = self._fields.known(value, path, _PREFIX)
        self._fields.security(
            fields.get("securityContext"), f"{path}.securityContext", f"{_PREFIX}securityContext."
        )
        image = reader.text(fields.get("image"), f"{path}.image", 512) or ""
        if not _IMAGE.fullmatch(image):
            reader.refuse(
                f"{path}.image", "must be the name of an image, such as docker.io/library/debian:13"
            )
        command = reader.texts(fields.get("command"), f"{path}.command", 1024, 131072)
        args = reader.texts(fields.get("args"), f"{path}.args", 1024, 131072)
        pull_policy = fields.get("imagePullPolicy")
        if pull_policy is not None and pull_policy not in _PULL_POLICIES:
            reader.refuse(f"{path}.imagePullPolicy", f"must be one of {', '.join(_PULL_POLICIES)}")
        env = self._env(fields.get("env"), f"{path}.env")
        self._bounded(env, (*command, *args), path)
        self._restart(fields.get("restartPolicy"), f"{path}.restartPolicy", init)
        return Container(
            name=self._name(fields.get("name"), f"{path}.name"),
            image=image,
            command=command,
            args=args,
            env=env,
            resources=read_resources(self._fields, fields.get("resources"), f"{path}.resources"),
            working_dir=self._absolute(fields.get("workingDir"), f"{path}.workingDir"),
            pull_policy=pull_policy if pull_policy in _PULL_POLICIES else None,
            mounts=self._mounts(fields.get("volumeMounts"), f"{path}.volumeMounts"),
            env_from=self._env_from(fields.get("envFrom"), f"{path}.envFrom"),
            given=fields,
        )

    def _name(self, value: Any, path: str) -> str:
        name = self._reader.text(value, path, 63) or ""
        if not CONTAINER_NAME.fullmatch(name) or name.startswith(OWN_PREFIX):
            self._reader.refuse(
                path, f"must be lower-case letters, digits and '-', and not begin with {OWN_PREFIX}"
            )
        elif name in self._names:
            self._reader.refuse(path, "is the name of another container too")
        self._names.add(name)
        return name

    def _restart(self, value: Any, path: str, init: bool) -> None:
        if value is None or (init and value == "Always"):
            return
        if init:
            self._reader.refuse(
                path, "must be Always, which makes an init container a sidecar; or leave it out"
            )
        else:
            self._reader.refuse(path, "is only for init containers; leave it out, and use retries of the Job")

    def _bounded(self, env: Variables, words: tuple[str, ...], path: str) -> None:
        """Refuse `$(NAME)` references that grow without limit: router and kubelet would store them."""
        texts = [(name, value if isinstance(value, str) else "") for name, value in env]
        try:
            values = expand_environment([("HOME", _LONG_HOME), *texts])
        except ValueError as error:
            self._reader.refuse(f"{path}.env", str(error))
            return
        size = 0
        for word in words:
            try:
                size += len(expand_references(word, values))
            except ValueError:
                size = MAX_EXPANDED + 1
            if size > MAX_EXPANDED:
                why = f"becomes longer than {MAX_EXPANDED} characters by its $(NAME) references"
                self._reader.refuse(f"{path}.command", why)
                return

    def _absolute(self, value: Any, path: str) -> str | None:
        text = self._reader.text(value, path, 4096)
        if text is not None and (not text.startswith("/") or any(ord(letter) < 32 for letter in text)):
            self._reader.refuse(path, "must be an absolute path")
            return None
        return text

    def _env(self, value: Any, path: str) -> Variables:
        pairs: list[tuple[str, str | Source]] = []
        for number, item in enumerate(self._reader.items(value, path, 1024)):
            here = f"{path}[{number}]"
            entry = self._fields.known(item, here, f"{_PREFIX}env[].")
            name = self._reader.text(entry.get("name"), f"{here}.name", 128) or ""
            if not _ENV_NAME.fullmatch(name):
                self._reader.refuse(
                    f"{here}.name", "must be letters, digits and '_', and begin with no digit"
                )
            text = self._reader.text(entry.get("value"), f"{here}.value", 131072) or ""
            source = self._value_from(entry.get("valueFrom"), f"{here}.valueFrom")
            if source and text:
                self._reader.refuse(here, "must have one of value and valueFrom")
            pairs.append((name, source or text))
        return tuple(pairs)

    def _value_from(self, value: Any, path: str) -> Source | None:
        if value is None:
            return None
        kinds = self._fields.known(value, path, f"{_PREFIX}env[].valueFrom.")
        if len(kinds) != 1:
            if not isinstance(value, dict) or len(value) != 1:
                self._reader.refuse(
                    path, "must have one of configMapKeyRef, secretKeyRef, fieldRef and so on"
                )
            return None
        ((kind, given),) = kinds.items()
        given = given if isinstance(given, dict) else {}
        return Source(
            kind,
            name=str(given.get("name") or given.get("containerName") or ""),
            key=str(given.get("key") or given.get("fieldPath") or given.get("resource") or ""),
            optional=given.get("optional") is True,
            divisor=str(given.get("divisor") or "1"),
        )

    def _env_from(self, value: Any, path: str) -> tuple[tuple[str, Source], ...]:
        sources = []
        for number, item in enumerate(self._reader.items(value, path, 64)):
            here = f"{path}[{number}]"
            entry = self._fields.known(item, here, f"{_PREFIX}envFrom[].")
            kinds = [kind for kind in entry if kind != "prefix"]
            if len(kinds) != 1:
                self._reader.refuse(here, "must have one of configMapRef and secretRef")
                continue
            given = entry[kinds[0]] if isinstance(entry[kinds[0]], dict) else {}
            source = Source(kinds[0], name=str(given.get("name", "")), optional=given.get("optional") is True)
            sources.append((str(entry.get("prefix") or ""), source))
        return tuple(sources)

    def _mounts(self, value: Any, path: str) -> tuple[Mount, ...]:
        mounts = []
        for number, item in enumerate(self._reader.items(value, path, 64)):
            here = f"{path}[{number}]"
            entry = self._fields.known(item, here, f"{_PREFIX}volumeMounts[].")
            name = self._reader.text(entry.get("name"), f"{here}.name", 63) or ""
            if name not in self._volumes:
                self._reader.refuse(f"{here}.name", f"names the unknown volume {name[:63]!r}")
            where = self._absolute(entry.get("mountPath"), f"{here}.mountPath")
            if entry.get("mountPath") is None or ":" in (where or ""):
                self._reader.refuse(f"{here}.mountPath", "must be an absolute path without ':'")
            if "," in (where or ""):
                self._fields.lacks(
                    Target.SLURM, f"{here}.mountPath", "container runtimes take ',' for an end of it"
                )
            if entry.get("subPath") and entry.get("subPathExpr"):
                self._reader.refuse(here, "must have one of subPath and subPathExpr")
            mounts.append(
                Mount(
                    name,
                    where or "/",
                    self._reader.flag(entry.get("readOnly"), f"{here}.readOnly"),
                    self._below(entry.get("subPath"), f"{here}.subPath"),
                )
            )
            self._below(entry.get("subPathExpr"), f"{here}.subPathExpr")
        return tuple(mounts)

    def _below(self, value: Any, path: str) -> str:
        """A relative path without '..'."""
        text = self._reader.text(value, path, 4096) or ""
        if text.startswith("/") or ".." in text.split("/") or any(ord(letter) < 32 for letter in text):
            self._reader.refuse(path, "must be a relative path without '..'")
            return ""
        return text
