import asyncio
import json
import os
from dataclasses import asdict, replace

import pytest

from platformctl.engine.locking import host_lock
from platformctl.engine.locking.host_lock import Owner
from platformctl.errors import ExitCode, PlatformError
from tests.unit.engine.sites import Hosts, make_fleet

FLEET = make_fleet({"a": (), "b": ()})
BOTH = ("a", "b")


def leave(hosts: Hosts, owner: Owner, age: int = 0) -> None:
    """A lock as another run would have left it on host a."""
    folder = hosts.folder("192.0.2.11") / "lock"
    folder.mkdir(parents=True)
    (folder / "owner").write_text(json.dumps(asdict(owner)))
    then = (folder / "owner").stat().st_mtime - age
    os.utime(folder / "owner", (then, then))


def elsewhere() -> Owner:
    return replace(Owner.me("install"), machine="other.example", boot="another boot", user="eve", pid=4711)


async def test_the_second_is_told_who_holds_it(hosts: Hosts) -> None:
    async with host_lock.hold(FLEET, BOTH, "install"):
        with pytest.raises(PlatformError) as error:
            async with host_lock.hold(FLEET, BOTH, "install"):
                pass
    assert error.value.code is ExitCode.REFUSED
    assert f"pid {os.getpid()}" in str(error.value)
    assert "since 20" in str(error.value)


async def test_it_is_free_again_afterwards_even_after_an_error(hosts: Hosts) -> None:
    with pytest.raises(RuntimeError):
        async with host_lock.hold(FLEET, BOTH, "install"):
            raise RuntimeError
    async with host_lock.hold(FLEET, BOTH, "install") as host:
        assert host == "a"


async def test_of_many_at_once_one_gets_it(hosts: Hosts) -> None:
    entered, refused = [], asyncio.Semaphore(0)

    async def one() -> None:
        try:
            async with host_lock.hold(FLEET, BOTH, "install"), asyncio.timeout(30):
                entered.append(1)
                for _ in range(4):
                    await refused.acquire()
        except PlatformError:
            refused.release()

    await asyncio.gather(*(one() for _ in range(5)))
    assert len(entered) == 1


async def test_a_dead_process_of_this_machine_does_not_hold_it(hosts: Hosts) -> None:
    leave(hosts, replace(Owner.me("install"), token="dead", pid=2**22 - 1, started="1"))
    async with host_lock.hold(FLEET, BOTH, "install") as host:
        assert host == "a"


async def test_another_machine_holds_it_until_its_heart_stops(hosts: Hosts) -> None:
    leave(hosts, elsewhere(), age=60)
    with pytest.raises(PlatformError, match=r"eve on other\.example, pid 4711"):
        async with host_lock.hold(FLEET, BOTH, "install"):
            pass
    os.utime(hosts.folder("192.0.2.11") / "lock" / "owner", (1, 1))
    async with host_lock.hold(FLEET, BOTH, "install") as host:
        assert host == "a"


async def test_the_next_host_keeps_it_when_the_first_is_down(hosts: Hosts) -> None:
    hosts.down.add("192.0.2.11")
    async with host_lock.hold(FLEET, BOTH, "install") as host:
        assert host == "b"
    hosts.down.add("192.0.2.12")
    with pytest.raises(PlatformError) as error:
        async with host_lock.hold(FLEET, BOTH, "install"):
            pass
    assert error.value.code is ExitCode.UNREACHABLE


async def test_unlock_says_whose_it_was(hosts: Hosts) -> None:
    leave(hosts, elsewhere())
    removed, down = await host_lock.release(FLEET, BOTH)
    assert "eve" in removed["a"]
    assert down == {}
    assert await host_lock.release(FLEET, BOTH) == ({}, {})
    hosts.down.add("192.0.2.11")
    silent = "does not answer: ssh: connect: No route to host"
    assert await host_lock.release(FLEET, BOTH) == ({}, {"a": silent})
