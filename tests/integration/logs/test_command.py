"""`platformctl job logs` against the logs API behind the aggregator: one verb for both back ends."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from platformctl.cli.main import app
from platformctl.clients.jobs import JobsClient
from platformctl.errors import ExitCode, PlatformError
from tests.integration.logs.world import World


async def logs(world: World, name: str, *words: str, who: str = "alice") -> Result:
    """What a person gets."""
    environment = {"KUBECONFIG": str(world.plane.kubeconfig(who))}
    return await asyncio.to_thread(CliRunner().invoke, app, ["job", "logs", name, *words], env=environment)


async def test_the_output_of_both_back_ends_is_printed(world: World) -> None:
    text = "".join(f"line {number}\n" for number in range(2000))
    on_slurm = await world.on_slurm(world.home.write("alice", "long.out", text), phase="Succeeded")
    on_kubernetes = await world.on_kubernetes(text.encode())
    for name in (on_slurm, on_kubernetes):
        assert (await logs(world, name)).stdout == text
        assert (await logs(world, name, "--since-start")).stdout == text
        assert (await logs(world, name, "--tail", "2")).stdout == "line 1998\nline 1999\n"


@pytest.mark.parametrize("words", [("--since-start",), ("--tail", "1"), ()])
async def test_a_followed_job_is_printed_to_its_end(world: World, words: tuple[str, ...]) -> None:
    file = world.home.write("alice", f"followed{len(words)}{words[-1:]}.out", "one\n")
    name = await world.on_slurm(file)
    follower = asyncio.create_task(logs(world, name, "-f", *words))
    text = "one\n"
    for number in range(40):
        more = f"{number} " + "x" * 4000 + "\n"
        world.home.write("alice", file.name, more)
        text += more
        await asyncio.sleep(0)
    await world.set(name, phase="Succeeded")
    shown = (await asyncio.wait_for(follower, 60)).stdout
    if "--tail" in words:
        assert text.endswith(shown)
        assert shown.endswith("x\n")
    else:
        assert shown == text


async def test_a_job_that_waits_is_followed_from_its_start(world: World) -> None:
    name = await world.job({"phase": "Pending"})
    follower = asyncio.create_task(logs(world, name, "-f"))
    file = world.home.write("alice", "late.out", "late\n")
    await world.set(name, phase="Running", backend="slurm", backendId="7", attempt=1, output=str(file))
    await world.set(name, phase="Succeeded")
    assert (await asyncio.wait_for(follower, 60)).stdout == "late\n"


async def test_an_element_has_its_own(world: World) -> None:
    name = await world.on_kubernetes(b"first\n", index=0)
    await world.pod(name, b"second\n", 1)
    assert (await logs(world, name, "--index", "1")).stdout == "second\n"


async def test_a_job_is_followed_through_its_attempts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = {number: threading.Event() for number in (1, 2)}
    follow = JobsClient.follow

    def told(*given: Any, **which: Any) -> AsyncGenerator[bytes]:
        followed[which["attempt"]].set()
        return follow(*given, **which)

    monkeypatch.setattr(JobsClient, "follow", told)
    first = world.home.write("alice", "first.out", "first\n")
    name = await world.on_slurm(first)
    follower = asyncio.create_task(logs(world, name, "-f"))
    assert await asyncio.to_thread(followed[1].wait, 60)
    record = {"attempt": 1, "backend": "slurm", "backendId": "7", "phase": "Failed", "output": str(first)}
    waits = {"backend": None, "backendId": None, "output": None}
    await world.set(name, phase="Pending", attempt=2, attempts=[record], **waits)
    assert await asyncio.to_thread(followed[2].wait, 60)
    second = world.home.write("alice", "second.out", "second\n")
    await world.set(name, phase="Running", backend="slurm", backendId="8", output=str(second))
    await world.set(name, phase="Succeeded")
    shown = await asyncio.wait_for(follower, 60)
    assert shown.stdout == "first\nsecond\n"
    assert f"{name}: attempt 1 ended; now attempt 2" in shown.stderr
    assert (await logs(world, name, "--attempt", "1")).stdout == "first\n"
    error = (await logs(world, name, "--attempt", "3")).exception
    assert isinstance(error, PlatformError)
    assert "its last is 2" in error.what


async def test_a_job_that_has_not_started_says_so(world: World) -> None:
    name = await world.job({"phase": "Pending", "reason": "waits for the job a"})
    shown = await logs(world, name)
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert f"{name} has not started (Pending: waits for the job a)" in " ".join(shown.stderr.split())


async def test_what_another_printed_is_not_shown(world: World) -> None:
    name = await world.on_slurm(world.home.write("alice", "mine.out", "mine\n"))
    error = (await logs(world, name, who="bob")).exception
    assert isinstance(error, PlatformError)
    assert error.code is ExitCode.REFUSED
    assert "only the submitter" in error.what


async def test_what_is_gone_says_why(world: World) -> None:
    name = await world.on_slurm(world.home.folder / "alice" / "gone.out", phase="Failed")
    error = (await logs(world, name)).exception
    assert isinstance(error, PlatformError)
    assert "there is no file" in error.what
