"""Texts that reach other programs: podman's arguments, nft's rules, ssh's options and known_hosts."""

import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from platformctl.lab import firewall, hosts, image, ssh

HOST = hosts.Host("demo", "node1", IPv4Address("198.51.100.12"))
INNER = [IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/12")]


@pytest.fixture
def arguments() -> list[str]:
    return hosts.run_command(HOST, "image:tag", "platformctl-demo", Path("/state/id_ed25519.pub"))


@pytest.mark.parametrize(
    "trap",
    [
        ["--systemd=false"],
        ["--cgroupns=private"],
        ["--runtime", "runc"],
        ["--dns-search", "."],
        ["--no-hosts"],
        ["--ulimit", "nofile=20000:20000"],
        ["--volume", "platformctl-demo-node1-containerd:/var/lib/containerd"],
        ["--volume", "platformctl-demo-home:/home"],
        ["--ip", "198.51.100.12"],
        ["--mac-address", "02:70:c6:33:64:0c"],
        ["--label", "platformctl.lab=demo"],
    ],
)
def test_a_host_boots_with_what_lab_hosts_need(arguments: list[str], trap: list[str]) -> None:
    assert any(arguments[at : at + len(trap)] == trap for at in range(len(arguments)))


def test_the_image_and_its_first_process_come_last(arguments: list[str]) -> None:
    assert arguments[-2:] == ["image:tag", "/sbin/init"]
    assert arguments[arguments.index("--name") + 1] == "platformctl-demo-node1"


def test_the_rules_drop_pod_traffic_both_ways_and_keep_strangers_from_the_cache() -> None:
    text = firewall.rules([IPv4Network("198.51.100.0/26"), IPv4Network("198.18.0.0/26")], INNER, 3142)
    drop = "ip daddr { 10.96.0.0/12, 10.244.0.0/16 } counter drop"
    assert text.count(drop) == 2
    assert text.index("hook forward") < text.index(drop) < text.index("hook output") < text.rindex(drop)
    assert "tcp dport 3142 ip saddr != { 198.18.0.0/26, 198.51.100.0/26 } drop" in text
    assert "tcp dport 3142 ip daddr != { 198.18.0.1, 198.51.100.1 } drop" in text


@pytest.mark.lab
@pytest.mark.parametrize("inner", [INNER, []])
def test_nft_understands_the_rules(inner: list[IPv4Network]) -> None:
    text = firewall.rules([IPv4Network("198.51.100.0/26")], inner, 3142)
    done = subprocess.run(
        ["nft", "--check", "-f", "-"], input=text, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_ssh_checks_the_hosts_key_and_offers_only_the_labs() -> None:
    command = ssh.command(Path("/state"), HOST.address, "true")
    assert command[-2:] == ["ops@198.51.100.12", "true"]
    assert "StrictHostKeyChecking=yes" in command
    assert "IdentitiesOnly=yes" in command


def test_known_hosts_has_address_and_name() -> None:
    assert ssh.known_hosts({HOST: "ssh-ed25519 AAAA"}) == "198.51.100.12,node1 ssh-ed25519 AAAA\n"


def test_the_images_tag_follows_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.reference()
    monkeypatch.setattr(image, "SUITE", "forky")
    assert image.reference() != before
    assert image.reference().startswith("localhost/platformctl-lab:")
