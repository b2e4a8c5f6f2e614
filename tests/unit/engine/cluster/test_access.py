"""How the site's Kubernetes is reached: kubectl in scripts, and a kubeconfig for programs."""

import asyncio
import subprocess

import pytest

from platformctl.engine import remote
from platformctl.engine.cluster import access
from platformctl.engine.fleet import Connection
from platformctl.engine.remote import Reply
from platformctl.errors import PlatformError
from tests.unit.engine.sites import make_fleet


def test_a_script_calls_kubectl_by_its_name_and_its_requests_end() -> None:
    kubectl = access.Kubectl(Connection("", "root", local=True), "echo --kubeconfig 'a b'", "here")
    script = f"{kubectl.function(seconds=7)}\nkubectl get 'c d'"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "--kubeconfig a b --request-timeout=7s get c d\n"


@pytest.mark.parametrize(
    ("reply", "what", "next_command"),
    [
        (
            remote.Reply(255, "", "No route to host"),
            "ctl1 does not answer: No route to host",
            "platformctl preflight -i /tmp/inventory --limit ctl1",
        ),
        (
            remote.Reply(1, "", "sudo: a password is required"),
            "ctl1 does not let its user become root: sudo: a password is required",
            "platformctl preflight -i /tmp/inventory --limit ctl1",
        ),
        (
            remote.Reply(1, "", "cat: No such file"),
            "Kubernetes is not installed on ctl1 yet: cat: No such file",
            "platformctl install -i /tmp/inventory",
        ),
    ],
)
def test_a_control_plane_without_a_kubeconfig_says_why(
    monkeypatch: pytest.MonkeyPatch, reply: remote.Reply, what: str, next_command: str
) -> None:
    async def run(*_: object, **__: object) -> remote.Reply:
        return reply

    monkeypatch.setattr(remote, "run", run)
    fleet = make_fleet({"ctl1": ("kubernetes_control_plane",)})
    with pytest.raises(PlatformError) as raised:
        asyncio.run(access.admin_kubeconfig(fleet))
    assert (raised.value.what, raised.value.next) == (what, next_command)


@pytest.mark.parametrize("text", ["", "Welcome to ctl1\n", "a: [", "clusters: []"])
async def test_an_admin_conf_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    async def run(*_: object, **__: object) -> Reply:
        return Reply(0, text, "")

    monkeypatch.setattr(remote, "run", run)
    with pytest.raises(PlatformError, match="kubeconfig is damaged"):
        await access.admin_kubeconfig(make_fleet({"ctl1": ("kubernetes_control_plane",)}))
