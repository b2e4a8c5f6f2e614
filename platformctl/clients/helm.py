"""Helm releases through pyhelm3: installs or upgrades a release, and says whether anything changed.

A digest in the release's description tells whether the release is current. pyhelm3 alone compares only a
chart's version, so it would miss an edited chart. Values are passed on standard input, never as arguments.
"""

import asyncio
import hashlib
import json
import logging
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyhelm3  # type: ignore[import-untyped]
from pyhelm3 import errors

from platformctl.errors import PlatformError

_PATIENCE = "5m"


@dataclass(frozen=True)
class Release:
    """A chart (a packaged one, or a folder) to be installed under a name; values as in values.yaml."""

    name: str
    namespace: str
    chart: Path
    values: Mapping[str, Any]

    def digest(self) -> str:
        """The digest of the chart's content and the values."""
        hasher = hashlib.sha256(json.dumps(self.values, sort_keys=True).encode())
        files = (
            [self.chart]
            if self.chart.is_file()
            else sorted(path for path in self.chart.rglob("*") if path.is_file())
        )
        for path in files:
            hasher.update(str(path.relative_to(self.chart)).encode() + b"\0" + path.read_bytes())
        return f"platformctl {hasher.hexdigest()[:32]}"


class Helm:
    """One cluster's releases. executable: the helm program; kubeconfig: an administrator's."""

    def __init__(self, executable: Path, kubeconfig: Path) -> None:
        self._executable = executable
        self._kubeconfig = kubeconfig
        self._client: pyhelm3.Client | None = None
        # pyhelm3 logs each command and each missing release; its exceptions say what failed.
        logging.getLogger("pyhelm3").setLevel(logging.CRITICAL)

    async def ensure(self, release: Release) -> bool:
        """Install or upgrade a release unless it is current; True if it was changed.

        A release that an earlier run left unfinished is repaired first. Raises PlatformError with Helm's
        message if its resources do not become ready within _PATIENCE.
        """
        client = await self._connect()
        wanted = release.digest()
        try:
            current = await client.get_proceedable_revision(
                release.name, namespace=release.namespace, timeout=_PATIENCE
            )
            deployed = current is not None and current.status == pyhelm3.ReleaseRevisionStatus.DEPLOYED
            if deployed and current.description == wanted:
                return False
            chart = await client.get_chart(release.chart)
            # CRDs are templates of our charts, so that upgrades change them too.
            await client.install_or_upgrade_release(
                release.name,
                chart,
                dict(release.values),
                description=wanted,
                namespace=release.namespace,
                skip_crds=True,
                timeout=_PATIENCE,
                wait=True,
            )
        except errors.Error as error:
            raise PlatformError(
                f"the chart {release.name} could not be installed: {str(error).strip()}",
                where=f"release {release.namespace}/{release.name}",
                next=f"kubectl -n {release.namespace} get pods,events",
            ) from error
        return True

    async def remove(self, name: str, namespace: str) -> None:
        """Uninstall a release and wait until its objects are gone; no error if there is none."""
        client = await self._connect()
        try:
            await client.uninstall_release(name, namespace=namespace, timeout=_PATIENCE, wait=True)
        except errors.ReleaseNotFoundError:
            return
        except errors.Error as error:
            raise PlatformError(
                f"the chart {name} could not be removed: {str(error).strip()}",
                where=f"release {namespace}/{name}",
                next="the same command again",
            ) from error

    async def _connect(self) -> pyhelm3.Client:
        if self._client is None:
            if not self._executable.is_file():
                raise PlatformError(
                    "the helm program is missing",
                    where=str(self._executable),
                    next="platformctl artifacts fetch -i SITE",
                )
            try:
                # Its constructor runs `helm version` and waits for it.
                self._client = await asyncio.to_thread(
                    pyhelm3.Client, executable=str(self._executable), kubeconfig=self._kubeconfig
                )
            except (OSError, ValueError, subprocess.SubprocessError, errors.Error) as error:
                raise PlatformError(
                    f"the helm program does not run: {error}",
                    where=str(self._executable),
                    next="remove it, then: platformctl artifacts fetch -i SITE",
                ) from error
        return self._client
