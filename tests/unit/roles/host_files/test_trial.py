"""New files are tried at their paths before they are there. Needs root: it makes namespaces."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.host_files.world import Host

FOLDER = Path("/etc/platformctl-test")


@pytest.fixture(autouse=True)
def folder() -> Iterator[None]:
    """A folder below /etc: others are no configuration. It is made by the module itself."""
    probe = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no right to make namespaces")
    yield
    subprocess.run(["rm", "-rf", str(FOLDER)], check=True)


def check(script: str, **others: Any) -> dict[str, Any]:
    return {"program": "reader", "command": ["sh", "-c", script], **others}


READS = check(f"cat {FOLDER}/a.conf {FOLDER}/deep/b.conf | tr a-z A-Z; ! grep -q wrong {FOLDER}/a.conf")


def files(host: Host, *contents: str) -> list[dict[str, Any]]:
    places = ("a.conf", "deep/b.conf")
    return [
        {**host.file(path=str(FOLDER / place), content=content), "variables": [f"site_{content.split()[0]}"]}
        for place, content in zip(places, contents, strict=False)
    ]


def test_a_mistake_changes_nothing_and_is_told_in_the_program_s_words(host: Host) -> None:
    host.run(files=files(host, "right one\n", "two\n"), checks=[READS])
    assert (FOLDER / "a.conf").read_text() == "right one\n"
    result = host.run(files=files(host, "wrong value\n", "other\n"), checks=[READS], services=["x.service"])
    assert result["msg"].startswith(f"reader refuses the new {FOLDER}/a.conf, {FOLDER}/deep/b.conf")
    assert "(see site_other, site_wrong in the inventory); nothing was changed:" in result["msg"]
    # It saw both new files at their places.
    assert result["msg"].endswith("WRONG VALUE\nOTHER")
    assert result["asked"] == []
    assert (FOLDER / "a.conf").read_text() == "right one\n"
    assert sorted(path.name for path in FOLDER.rglob("*")) == ["a.conf", "b.conf", "deep"]


def test_nothing_is_left_of_a_first_try(host: Host) -> None:
    assert host.run(files=files(host, "wrong\n", "two\n"), checks=[READS])["failed"]
    assert not FOLDER.exists()
    assert not list(Path("/run").glob("platformctl-trial-*"))


def test_lines_that_are_mistakes_may_be_told_by_a_pattern(host: Host) -> None:
    warns = check("echo 'warning: no such unit'; echo 'hint: fine'", mistakes="^warning")
    result = host.run(files=files(host, "one\n"), checks=[warns])
    assert result["msg"].endswith("nothing was changed:\nwarning: no such unit")
    fine = check("echo 'hint: fine'; exit 1", mistakes="^warning")
    assert not host.run(files=files(host, "one\n"), checks=[fine]).get("failed")


def test_only_changes_are_tried_and_only_by_who_reads_them(host: Host) -> None:
    never = check("exit 1", paths=[str(FOLDER / "other.conf")])
    assert not host.run(files=files(host, "one\n"), checks=[never]).get("failed")
    assert not host.run(files=files(host, "one\n"), checks=[check("exit 1")]).get("failed")
    assert host.run(files=files(host, "two\n"), checks=[check("exit 1")])["failed"]


def test_a_check_reaches_no_network_and_leaves_no_process(host: Host) -> None:
    script = "ip -o link | grep -vc ': lo:' | grep -qx 0 && { sleep 1234 & exit 0; }"
    assert not host.run(files=files(host, "one\n"), checks=[check(script)]).get("failed")
    assert subprocess.run(["pgrep", "-fx", "sleep 1234"], check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "systemd/system/platformctl-test.service",
            "[Service]\nExecStart=/bin/true\nLimitNOFILE=abc\n",
            "ignoring: abc",
        ),
        ("systemd/system/platformctl-test.service", "[Service]\nExecStrat=/bin/true\n", "ExecStrat"),
        ("sysctl.d/99-platformctl-test.conf", "net.ipv4.ip_forward 1\n", "ip_forward 1"),
        ("modules-load.d/platformctl-test.conf", "overlay br_netfilter\n", "overlay br_netfilter"),
    ],
)
def test_files_of_every_host_s_programs_are_tried_unasked(
    host: Host, name: str, content: str, words: str
) -> None:
    path = Path("/etc", name)
    if not path.parent.is_dir():
        pytest.skip(f"no {path.parent} here")
    try:
        result = host.run(files=[host.file(path=str(path), content=content)])
        assert "nothing was changed" in result["msg"]
        assert words in result["msg"]
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)
