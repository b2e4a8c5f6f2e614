"""What all labs share on a machine: started and stopped apart from the real one, which other labs may use."""

import os
import socket
import urllib.error
import urllib.request
from ipaddress import IPv4Network
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from platformctl.errors import PlatformError
from platformctl.lab import apt_cache, archives, firewall, limits

pytestmark = pytest.mark.lab


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # apt-cacher-ng cannot listen on a port above 32767.
    port = next(port for port in range(20000 + os.getpid() % 10000, 32000) if _is_free(port))
    monkeypatch.setattr(apt_cache, "PORT", port)
    monkeypatch.setattr(firewall, "TABLE", "platformctl_test")


def _release_file() -> str:
    """A file of the archive that lab hosts are set up with."""
    return f"{archives.sources()[0]}/dists/{archives.SUITE}/main/binary-amd64/Release"


def test_the_package_cache_starts_once_keeps_packages_and_stops() -> None:
    assert apt_cache.ensure()
    try:
        first = apt_cache.running()
        assert not apt_cache.ensure()
        assert apt_cache.running() == first
        proxy = urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{apt_cache.PORT}"})
        url = _release_file()
        assert b"Debian" in urllib.request.build_opener(proxy).open(url, timeout=60).read()
        assert list((apt_cache.folder() / "packages" / str(urlsplit(url).hostname)).rglob("Release"))
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.build_opener(proxy).open("http://127.0.0.1:22/", timeout=60)
        with socket.create_connection(("127.0.0.1", apt_cache.PORT), timeout=10) as tunnel:
            place = f"{urlsplit(url).hostname}:443"
            tunnel.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
            assert b" 403 " in tunnel.recv(200)
    finally:
        assert apt_cache.stop()
    assert apt_cache.running() is None
    assert not apt_cache.stop()


def test_a_cache_that_does_not_come_up_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt_cache, "PORT", 40000)
    monkeypatch.setattr(apt_cache, "_START_SECONDS", 1.0)
    with pytest.raises(PlatformError, match="the package cache did not start"):
        apt_cache.ensure()
    assert apt_cache.running() is None


def test_a_process_that_got_the_caches_number_is_left_alone() -> None:
    apt_cache.folder().mkdir(parents=True)
    (apt_cache.folder() / "pid").write_text(str(os.getpid()))
    assert apt_cache.running() is None
    assert not apt_cache.stop()


def test_a_taken_port_is_named() -> None:
    with (
        socket.create_server(("127.0.0.1", apt_cache.PORT)),
        pytest.raises(PlatformError, match=f"port {apt_cache.PORT} is taken") as refused,
    ):
        apt_cache.ensure()
    assert "systemctl disable --now apt-cacher-ng" in refused.value.next


def test_the_firewall_table_is_replaced_and_removed() -> None:
    # Documentation addresses: these rules must not stand in the way of a real lab.
    for last in ("192.0.2.0/28", "192.0.2.16/28"):
        firewall.apply([IPv4Network(last)], [IPv4Network("203.0.113.240/28")], apt_cache.PORT)
    assert firewall.present()
    assert firewall.remove()
    assert not firewall.present()
    assert not firewall.remove()


def test_the_raised_limit_goes_back_to_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = tmp_path / "max_user_instances"
    setting.write_text("128\n")
    monkeypatch.setattr(limits, "_SETTING", setting)
    (tmp_path / "state" / "platformctl" / "labs").mkdir(parents=True)
    limits.ensure()
    limits.ensure()
    assert setting.read_text() == str(limits.WANTED)
    assert limits.restore()
    assert setting.read_text() == "128\n"
    assert not limits.restore()


def test_a_limit_that_somebody_else_set_since_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = tmp_path / "max_user_instances"
    setting.write_text("128\n")
    monkeypatch.setattr(limits, "_SETTING", setting)
    (tmp_path / "state" / "platformctl" / "labs").mkdir(parents=True)
    limits.ensure()
    setting.write_text("65536\n")
    assert limits.restore()
    assert setting.read_text() == "65536\n"
