"""No proxy of a host comes between the site's own programs; the site's proxy is for what leaves the site."""

from pathlib import Path

import jinja2
import pytest

from platformctl import paths

ROLES = paths.data_dir() / "roles"
UNITS = sorted(
    path
    for path in ROLES.glob("*/*/*")
    if path.parent.name in ("files", "templates") and path.is_file() and "[Service]" in path.read_text()
)
NAMES = {
    variant
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
    for variant in (name, name.upper())
}


def render(path: Path, **variables: object) -> str:
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.from_string(path.read_text()).render(ansible_managed="managed", **variables)


def test_there_are_units() -> None:
    assert len(UNITS) >= 8


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_drop_the_proxies_that_a_host_sets_for_all_services(unit: Path) -> None:
    lines = [line for line in unit.read_text().splitlines() if line.startswith("UnsetEnvironment=")]
    assert any(set(line.partition("=")[2].split()) == NAMES for line in lines)


def test_containerd_has_the_sites_proxy_and_no_other() -> None:
    text = render(
        ROLES / "containerd/templates/limits.conf.j2",
        _containerd_limits={},
        _containerd_http_proxy="http://me:a%20b@proxy:3128",
        _containerd_https_proxy="http://proxy:3129",
        _containerd_no_proxy=["localhost", ".lab.example", "10.244.0.0/16"],
    )
    # systemd takes % for its own; Go's programs look for names in capitals first.
    assert 'Environment="HTTP_PROXY=http://me:a%%20b@proxy:3128"' in text
    assert 'Environment="HTTPS_PROXY=http://proxy:3129"' in text
    assert 'Environment="NO_PROXY=localhost,.lab.example,10.244.0.0/16"' in text
    (unset,) = [line for line in text.splitlines() if line.startswith("UnsetEnvironment=")]
    assert set(unset.partition("=")[2].split()) == NAMES - {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}


@pytest.mark.parametrize(
    ("own", "proxy", "expected"),
    [
        ("", "", []),
        ("http://cache:3142", "", ['Acquire::http::Proxy "http://cache:3142";']),
        (
            "",
            "http://proxy:3128",
            [
                'Acquire::http::Proxy "http://proxy:3128";',
                'Acquire::https::Proxy "http://proxy:3128";',
                'Acquire::http::Proxy::deb.site.example "DIRECT";',
                'Acquire::https::Proxy::deb.site.example "DIRECT";',
            ],
        ),
    ],
)
def test_apt_uses_its_own_proxy_or_the_sites(own: str, proxy: str, expected: list[str]) -> None:
    text = render(
        ROLES / "base/templates/apt.conf.j2",
        base_apt_proxy=own,
        site_http_proxy=proxy,
        site_https_proxy=proxy,
        site_no_proxy=["deb.site.example", ".internal.example", "192.0.2.0/24"],
        base_dpkg_unsafe_io=False,
    )
    assert [line for line in text.splitlines() if line.startswith("Acquire")] == expected
