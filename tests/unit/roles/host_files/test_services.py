"""Services run on the files that are in place."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.host_files.world import Host

RESTARTED = ["daemon-reload", "restart x.service"]


def test_a_file_is_written_once(host: Host) -> None:
    assert host.run(files=[host.file(mode="0600")])["written"] == [str(host.folder / "etc/x.conf")]
    assert (host.folder / "etc/x.conf").stat().st_mode & 0o777 == 0o600
    assert not host.run(files=[host.file(mode="0600")])["changed"]
    assert host.run(files=[host.file(mode="0640")])["changed"]


def test_a_check_writes_nothing(host: Host) -> None:
    host.service("inactive", "disabled")
    result = host.run(check=True, files=[host.file()], services=["x.service"])
    assert result["changed"]
    assert result["asked"] == []
    assert not (host.folder / "etc").exists()


def test_a_service_restarts_when_its_file_is_younger(host: Host) -> None:
    host.run(files=[host.file()])
    path = host.folder / "etc/x.conf"
    os.utime(path, (1, 1))
    assert host.run(files=[host.file()], services=["x.service"])["asked"] == []
    # The run that wrote it was killed before the restart.
    os.utime(path)
    result = host.run(files=[host.file()], services=["x.service"])
    assert result["written"] == []
    assert result["asked"] == ["daemon-reload", "restart x.service"]


def test_a_clock_that_was_ahead_when_the_service_started_hides_no_new_file(host: Host) -> None:
    host.service("active", "enabled", age=60, wall="Sun 2126-11-22 17:00:00.000000 UTC")
    result = host.run(files=[host.file()], services=["x.service"])
    assert result["asked"] == ["daemon-reload", "restart x.service"]


def test_a_watched_file_counts_too(host: Host) -> None:
    certificate = host.folder / "x.crt"
    certificate.write_text("new")
    assert host.run(watch=[str(certificate)], services=["x.service"])["asked"] == [
        "daemon-reload",
        "restart x.service",
    ]


def test_a_dead_service_is_started_and_enabled(host: Host) -> None:
    host.service("failed", "disabled")
    assert host.run(services=["x.service"])["asked"] == [
        "daemon-reload",
        "enable x.service",
        "start x.service",
    ]


def test_a_unit_whose_conditions_do_not_hold_is_no_change(host: Host) -> None:
    host.service("inactive", "static")
    assert not host.run(services=["x.service"])["changed"]


def test_contents_never_reach_the_output(host: Host) -> None:
    secret = "the-secret-of-the-site"
    assert secret not in json.dumps(host.run(files=[host.file(content=secret)]))


def test_a_file_that_is_younger_than_the_process_counts_and_not_than_the_unit(host: Host) -> None:
    """The process of a reload is younger than the moment at which the unit became active."""
    path = host.dated("x.conf", -1)
    with subprocess.Popen(["sleep", "60"]) as process:
        host.service("active", "enabled", age=3600, MainPID=process.pid)
        assert host.run(watch=[path], services=["x.service"])["asked"] == []
        host.dated("x.conf", 1)
        assert host.run(watch=[path], services=["x.service"])["asked"] == RESTARTED
        process.kill()


def test_a_service_is_reloaded_where_that_is_enough(host: Host) -> None:
    host.service("active", "enabled", MainPID=os.getpid())
    arguments = {"services": ["x.service"], "reload_command": ["systemctl", "reload-it"]}
    assert host.run(watch=[host.dated("x.conf", -3600)], **arguments)["asked"] == []
    result = host.run(watch=[host.dated("x.conf", 10)], **arguments)
    assert result["asked"] == ["reload-it"]
    assert result["services"] == [f"reload x.service for {host.folder / 'x.conf'}"]


@pytest.mark.parametrize("part", ["FragmentPath", "DropInPaths"])
def test_the_units_own_files_restart_it(host: Host, part: str) -> None:
    arguments = {"services": ["x.service"], "reload_command": ["systemctl", "reload-it"]}
    host.service("active", "enabled", MainPID=os.getpid(), **{part: host.dated("x.unit", 10)})
    assert host.run(**arguments)["asked"] == RESTARTED
    host.service("active", "enabled", MainPID=os.getpid(), **{part: host.dated("x.unit", -3600)})
    assert host.run(**arguments)["asked"] == []


def test_what_systemd_writes_itself_at_each_reload_restarts_nothing(host: Host) -> None:
    host.service("active", "enabled", DropInPaths="/run/host_files_test.conf")
    generated = Path("/run/host_files_test.conf")
    generated.write_text("")
    try:
        assert host.run(services=["x.service"])["asked"] == []
    finally:
        generated.unlink()


@pytest.mark.parametrize("state", [{"NeedDaemonReload": "yes"}, {"LoadState": "not-found"}])
def test_systemd_learns_of_new_unit_files_before_anything_is_decided(
    host: Host, state: dict[str, str]
) -> None:
    host.service("active", "enabled", **state)
    assert host.run(services=["x.service"])["asked"] == ["daemon-reload"]


@pytest.mark.parametrize(
    "written", [True, False], ids=["the file is newer", "a run was killed after the reload"]
)
def test_a_service_that_listens_elsewhere_is_restarted_and_not_reloaded(host: Host, written: bool) -> None:
    host.service("active", "enabled", MainPID=os.getpid())
    path = host.dated("x.conf", 10 if written else -3600)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        arguments: dict[str, Any] = {
            "watch": [path],
            "services": ["x.service"],
            "reload_command": ["systemctl", "reload-it"],
        }
        assert host.run(listens=port, **arguments)["asked"] == (["reload-it"] if written else [])
    assert host.run(listens=port, **arguments)["asked"] == RESTARTED


@pytest.mark.parametrize(
    ("seconds", "asked"), [(-3600, ["daemon-reload", "start x.service"]), (10, RESTARTED)]
)
def test_a_service_that_is_about_to_start_is_waited_for_or_starts_again(
    host: Host, seconds: float, asked: list[str]
) -> None:
    """It never reloads: nothing answers yet."""
    host.service("activating", "enabled", MainPID=os.getpid())
    arguments = {"services": ["x.service"], "reload_command": ["systemctl", "reload-it"]}
    assert host.run(watch=[host.dated("x.conf", seconds)], **arguments)["asked"] == asked


def test_a_port_that_stays_closed_is_a_failure(host: Host) -> None:
    host.service("failed", "enabled")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not host.run(services=["x.service"], healthy={"port": port}).get("failed")
    result = host.run(services=["x.service"], healthy={"port": port, "within": 1})
    assert result["failed"]
    assert f"x.service is not healthy after 1 s: port {port}: Connection refused" in result["msg"]


def test_what_is_for_one_service_is_refused_for_several(host: Host) -> None:
    result = host.run(services=["x.service", "y.service"], listens=80)
    assert result["failed"]
    assert result["asked"] == []
