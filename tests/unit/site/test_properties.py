"""What holds for any names, networks, ranges and values."""

import ipaddress
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from platformctl import site
from platformctl.site.ranges import expand
from platformctl.site.reading import read
from platformctl.site.refinements import REFINEMENTS, is_label
from tests.unit.site.conftest import Sandbox

NETWORK = TypeAdapter(REFINEMENTS["kubernetes_pod_network"])
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
networks = st.builds(
    lambda address, prefix: ipaddress.IPv4Network((address, prefix), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(8, 24),
)


def _accepts(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@given(st.text(max_size=70))
def test_labels_follow_rfc_1123(text: str) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    expected = 1 <= len(text) <= 63 and set(text) <= allowed and text[0] != "-" and text[-1] != "-"
    assert is_label(text) == expected


@given(networks)
def test_networks_are_accepted_as_python_writes_them(network: ipaddress.IPv4Network) -> None:
    assert _accepts(NETWORK, str(network))


@given(st.one_of(st.text(max_size=20), st.from_regex(r"\d{1,3}(\.\d{1,3}){3}(/\d{1,3})?", fullmatch=True)))
def test_whatever_is_accepted_is_a_network(text: str) -> None:
    if _accepts(NETWORK, text):
        assert str(ipaddress.IPv4Network(text)) == text


@QUICK
@given(pods=networks, services=networks)
def test_overlap_is_found_whichever_is_larger(
    sandbox: Sandbox, pods: ipaddress.IPv4Network, services: ipaddress.IPv4Network
) -> None:
    sandbox.vars.update(kubernetes_pod_network=str(pods), kubernetes_service_network=str(services))
    problems = [mistake.problem for mistake in sandbox.mistakes()]
    assert any(problem.startswith("overlaps") for problem in problems) == pods.overlaps(services)


@QUICK
@given(network=networks, offset=st.integers(0, 2**32 - 1))
def test_a_host_within_a_network_is_found(
    sandbox: Sandbox, network: ipaddress.IPv4Network, offset: int
) -> None:
    address = ipaddress.IPv4Address(offset)
    sandbox.vars["kubernetes_service_network"] = str(network)
    sandbox.hosts["node2"]["ansible_host"] = str(address)
    problems = [mistake.problem for mistake in sandbox.mistakes()]
    found = any("address of node2 lies in kubernetes_service_network" in problem for problem in problems)
    assert found == (address in network)


@given(st.integers(0, 500), st.integers(0, 60), st.integers(1, 4))
def test_a_range_has_every_name_once_in_order(first: int, more: int, width: int) -> None:
    low, high = str(first).zfill(width), str(first + more).zfill(width)
    padded = low.startswith("0") and len(low) > 1
    if padded and len(low) != len(high):
        with pytest.raises(ValueError, match="digits"):
            list(expand(f"n[{low}:{high}]"))
        return
    names = list(expand(f"n[{low}:{high}]"))
    assert [int(re.sub(r"\D", "", name)) for name in names] == list(range(first, first + more + 1))
    assert len({len(name) for name in names}) == 1 or not padded


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = ["users_accounts", "users_groups", "slurm_partitions", "kubernetes_pod_network", "site_name"]


@QUICK
@given(name=st.sampled_from(NAMES), value=values)
def test_no_value_breaks_the_check(sandbox: Sandbox, name: str, value: object) -> None:
    sandbox.vars[name] = value
    for mistake in sandbox.mistakes():
        assert mistake.problem
        assert mistake.remedy


@QUICK
@given(content=values)
def test_no_hosts_file_breaks_the_check(sandbox: Sandbox, content: object) -> None:
    sandbox.write()
    sandbox.text("hosts.yml", yaml.safe_dump(content))
    assert site.check(sandbox.folder)


@QUICK
@given(content=values)
def test_no_group_breaks_the_check(sandbox: Sandbox, content: object) -> None:
    sandbox.write()
    document = {"all": {"hosts": sandbox.hosts, "children": {"slurm_node": content}}}
    sandbox.text("hosts.yml", yaml.safe_dump(document))
    site.check(sandbox.folder)


@QUICK
@given(content=st.binary(max_size=40))
def test_no_bytes_break_the_reader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.yml"
    path.write_bytes(content)
    document, mistakes = read(path)
    assert isinstance(document.content, dict)
    assert all(mistake.file == path for mistake in mistakes)
