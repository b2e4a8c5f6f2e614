"""The router as a process, and waiting for what it does."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from platformctl.router.job.resource import JobResource
from tests.integration.control_plane import ControlPlane, free_port
from tests.integration.router.world import KEY, ROUTER, SITE, USERS, World

PATIENCE = 60.0


class RouterProcess:
    """`python -m platformctl.router`, started again and again."""

    def __init__(self, plane: ControlPlane, world: World, folder: Path) -> None:
        self._folder = folder
        (folder / "jwt.key").write_bytes(KEY)
        users = [
            {
                "name": user.name,
                "uid": user.uid,
                "gid": user.gid,
                "groups": list(user.groups),
                "account": user.account,
                "home": user.home,
            }
            for user in USERS.values()
        ]
        self.health = f"http://127.0.0.1:{free_port()}/healthz"
        config = {
            "site": SITE,
            "users": users,
            "slurm": {"address": world.slurm_address, "key_file": str(folder / "jwt.key"), "interval": 0.3},
            "sweep_seconds": 1,
            "health": self.health,
        }
        self._config: dict[str, Any] = config
        self.configure()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")},
            "ROUTER_CONFIG": str(folder / "router.json"),
            "KUBECONFIG": str(plane.kubeconfig(ROUTER)),
        }
        self.process: asyncio.subprocess.Process | None = None

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Change the configuration for the next start; returns what was there before."""
        before = {key: self._config.get(key) for key in changes}
        self._config |= changes
        (self._folder / "router.json").write_text(json.dumps(self._config))
        return before

    async def start(self) -> None:
        with (self._folder / "router.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "platformctl.router", env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL; it may be dead already."""
        if self.process and self.process.returncode is None:
            self.process.kill()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 30)

    @property
    def log(self) -> str:
        return (self._folder / "router.log").read_text()


async def eventually[T](check: Callable[[], Awaitable[T | None]], what: str, router: RouterProcess) -> T:
    """What a check returns once it returns something."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await check()
                if found is not None:
                    return found
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{what}\n{router.log[-3000:]}") from None


async def until(
    world: World, job: JobResource, phase: str, router: RouterProcess, attempt: int = 0
) -> dict[str, Any]:
    """The status once the Job is in a phase; of an attempt, if one is named."""

    async def check() -> dict[str, Any] | None:
        found = await world.read(job)
        if found is None or attempt not in (0, found.attempt):
            return None
        return found.status if found.status.get("phase") == phase else None

    return await eventually(check, f"{job.name} never became {phase}", router)


async def until_gone(world: World, job: JobResource, router: RouterProcess) -> None:
    async def check() -> bool | None:
        return True if await world.read(job) is None else None

    await eventually(check, f"{job.name} was never deleted", router)
