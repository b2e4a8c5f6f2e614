"""What a command loads before it does anything."""

import subprocess
import sys

# Of clients that few commands talk by; each takes some tenths of a second.
_HEAVY = {"aiohttp", "cryptography.x509", "kubernetes"}


def test_a_plan_loads_no_client_that_it_does_not_use() -> None:
    loads = "import sys, platformctl.cli.main, platformctl.engine.running.install; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "platformctl.engine.planning.plan" in loaded
    assert not _HEAVY & loaded
