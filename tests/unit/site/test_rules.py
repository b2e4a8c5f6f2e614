"""Mistakes between several values of an inventory."""

from collections.abc import Callable

import pytest

from tests.unit.site.conftest import Sandbox

Spoil = Callable[[Sandbox], object]


def _shared_node(box: Sandbox) -> None:
    box.groups["slurm_node"].append("node1")
    box.groups["munge"].append("node1")


def _second_control_plane(box: Sandbox) -> None:
    box.hosts["ctl2"] = {"ansible_host": "192.0.2.14"}
    box.groups["kubernetes_control_plane"].append("ctl2")
    box.groups["containerd"].append("ctl2")


def _rename(box: Sandbox, old: str, new: str) -> None:
    box.hosts[new] = box.hosts.pop(old)
    for hosts in box.groups.values():
        hosts[:] = [new if host == old else host for host in hosts]


def _account(box: Sandbox, **changes: object) -> None:
    box.vars["users_accounts"][1].update(changes)


def _partition(box: Sandbox, **changes: object) -> None:
    box.vars["slurm_partitions"][0].update(changes)


def _existing_cluster(box: Sandbox) -> None:
    for group in ("registry", "containerd", "kubernetes_control_plane", "kubernetes_node"):
        del box.groups[group]
    del box.hosts["node1"]
    box.vars |= {"kubernetes_provider": "existing", "kubernetes_kubeconfig": "kubeconfig"}


def _addresses_in_files(box: Sandbox) -> None:
    for number, host in enumerate(("ctl1", "node1", "node2")):
        box.text(f"host_vars/{host}.yml", f"ansible_host: 192.0.2.{number}")


def _stray(box: Sandbox) -> None:
    """A host of a real site that no group takes."""
    box.lab = False
    for number, host in enumerate(box.hosts.values(), start=11):
        host["ansible_host"] = f"10.20.0.{number}"
    box.vars |= {"site_domain": "tiny.org", "users_accounts": [{"name": "bob", "uid": 10002}]}
    box.vars["users_accounts"][0] |= {"groups": ["physics"], "slurm_account": "physics"}
    box.hosts["stray"] = {"ansible_host": "10.20.0.99"}


def _overrides(box: Sandbox, **fields: object) -> None:
    box.vars["kubernetes_kubelet_overrides"] = fields


CASES: dict[str, tuple[Spoil, str, str, str]] = {
    "a misspelt field of the kubelet": (
        lambda box: _overrides(box, maxPod=50),
        "kubernetes_kubelet_overrides.maxPod",
        "the kubelet has no such field",
        "did you mean maxPods?",
    ),
    "a quantity that is none": (
        lambda box: _overrides(box, systemReserved={"memory": "1GB", "cpu": "500m"}),
        "kubernetes_kubelet_overrides.systemReserved.memory",
        "is not a quantity",
        "1Gi",
    ),
    "a limit of a unit that is none": (
        lambda box: box.vars.update(containerd_service_limits={"LimitNOFILE": "abc", "LimitCPU": "5min"}),
        "containerd_service_limits.LimitNOFILE",
        "is not a limit of systemd",
        "infinity",
    ),
    "a host in no group": (_stray, "all.hosts.stray", "stray is in no group", "put it into slurm_node"),
    "a mirror without an address": (
        lambda b: b.vars.update(artifacts_source="mirror"),
        "artifacts_source",
        "needs artifacts_mirror_url",
        "set artifacts_mirror_url",
    ),
    "an owner of a control plane that it does not have": (
        lambda b: b.hosts["ctl1"].update(node_owner="slurm"),
        "all.hosts.ctl1.node_owner",
        "ctl1 is in no group of nodes",
        "set node_owner to kubernetes, or put the host into slurm_node",
    ),
    "no hosts": (lambda b: (b.hosts.clear(), b.groups.clear()), "", "has no hosts", "list them"),
    "same address": (
        lambda b: b.hosts["node2"].update(ansible_host="192.0.2.12"),
        "all.hosts.node2.ansible_host",
        "node2 has the same address as node1",
        "own address",
    ),
    "no address": (
        lambda b: b.hosts["node2"].pop("ansible_host"),
        "all.hosts.node2",
        "no address",
        "ansible_host",
    ),
    "name for an address": (
        lambda b: b.hosts["node2"].update(ansible_host="node2.example"),
        "all.hosts.node2.ansible_host",
        "not an IP address",
        "base_address",
    ),
    "host name": (lambda b: _rename(b, "node2", "node_2"), "all.hosts.node_2", "not a DNS label", "a-z"),
    "service name": (lambda b: _rename(b, "node2", "api"), "all.hosts.api", "service", "another name"),
    "host called like a group": (
        lambda b: _rename(b, "node2", "munge"),
        "all.hosts.munge",
        "munge is the name of a group and of a host",
        "another name",
    ),
    "host only in a group, unlike any": (
        lambda b: b.groups.update(rack1=["visitor"]),
        "all.children.rack1.hosts.visitor",
        "host visitor is not listed",
        "add it there with its ansible_host",
    ),
    "an IPv6 address": (
        lambda b: b.hosts["node2"].update(ansible_host="2001:db8::1"),
        "all.hosts.node2.ansible_host",
        "ansible_host of node2 is an IPv6 address, and platformctl needs IPv4",
        "write the host's IPv4 address",
    ),
    "an IPv6 address for the others": (
        lambda b: b.hosts["node2"].update(base_address="2001:db8::1"),
        "all.hosts.node2.base_address",
        "base_address of node2 is an IPv6 address",
        "IPv4",
    ),
    "an IPv6 address of a kubelet": (
        lambda b: b.hosts["node1"].update(kubernetes_kubelet_address="2001:db8::1"),
        "all.hosts.node1.kubernetes_kubelet_address",
        "kubernetes_kubelet_address of node1 is an IPv6 address",
        "IPv4",
    ),
    "same address beside that of ssh": (
        lambda b: b.hosts["node2"].update(base_address="192.0.2.12"),
        "all.hosts.node2.base_address",
        "node2 has the same address as node1",
        "own address",
    ),
    "base_address that is none": (
        lambda b: b.hosts["node2"].update(base_address="node2.example"),
        "all.hosts.node2.base_address",
        "is not an IP address",
        "192.0.2.11",
    ),
    "host only in a group": (
        lambda b: b.groups.update(rack1=["nod1"]) or b.text("host_vars/nod1.yml", "ansible_host: 192.0.2.99"),
        "all.children.rack1.hosts.nod1",
        "not listed",
        "did you mean node1?",
    ),
    "misspelt group": (
        lambda b: b.groups.update(slurm_nodes=["node2"]),
        "all.children.slurm_nodes",
        "its name is similar to a known one",
        "did you mean slurm_node?",
    ),
    "two owners": (
        lambda b: (_shared_node(b), b.hosts["node1"].pop("node_owner")),
        "all.hosts.node1",
        "both Slurm and Kubernetes",
        "shared",
    ),
    "contradicting owner": (
        lambda b: b.hosts["node1"].update(node_owner="slurm"),
        "all.hosts.node1.node_owner",
        "node1 is in kubernetes_node, which contradicts its owner",
        "slurm_node only",
    ),
    "owner without a group": (
        lambda b: (
            b.hosts.update(login1={"ansible_host": "192.0.2.14", "node_owner": "shared"}),
            b.groups["munge"].append("login1"),
        ),
        "all.hosts.login1.node_owner",
        "no group of nodes",
        "kubernetes_node and slurm_node",
    ),
    "owner that a control plane has half": (
        lambda b: b.hosts["ctl1"].update(node_owner="shared"),
        "all.hosts.ctl1.node_owner",
        "ctl1 is in kubernetes_control_plane, which contradicts its owner",
        "set node_owner to kubernetes, or put the host into slurm_node",
    ),
    "no host has a task": (
        lambda b: b.groups.clear(),
        "",
        "no host has a task",
        "put hosts into kubernetes_control_plane, slurm_controller",
    ),
    "no controller of Slurm": (
        lambda b: b.groups.update(slurm_controller=[]),
        "all.children.slurm_node",
        "group slurm_node has hosts, but slurm_controller has none",
        "put a host into slurm_controller",
    ),
    "several outside of munge": (
        lambda b: b.groups.update(munge=[], slurm_node=["ctl1", "node1", "node2"]),
        "all.children.slurm_node",
        "ctl1, node1, node2 are of slurm_node not in munge",
        "child of munge",
    ),
    "many outside of munge": (
        lambda b: (
            b.hosts.update({f"new{number}": {"ansible_host": f"192.0.2.3{number}"} for number in range(5)}),
            b.groups.update(slurm_node=["node2", *(f"new{number}" for number in range(5))]),
        ),
        "all.children.slurm_node",
        "new0, new1, new2 and 2 more are of slurm_node not in munge",
        "child of munge",
    ),
    "several control planes": (
        _second_control_plane,
        "all.children.kubernetes_control_plane",
        "kubernetes_control_plane has 2 hosts",
        "leave one host in it",
    ),
    "no accounting": (
        lambda b: b.groups.pop("slurm_accounting"),
        "all.children.slurm_controller",
        "slurm_accounting has none",
        "put a host into slurm_accounting",
    ),
    "not in containerd": (
        lambda b: b.groups["containerd"].remove("node1"),
        "all.children.kubernetes_node",
        "node1 is of kubernetes_node not in containerd",
        "child of containerd",
    ),
    "control plane and node": (
        lambda b: b.groups["kubernetes_node"].append("ctl1"),
        "all.hosts.ctl1",
        "ctl1 is in kubernetes_control_plane and in kubernetes_node",
        "take it out of kubernetes_node",
    ),
    "networks overlap": (
        lambda b: b.vars.update(kubernetes_service_network="10.244.128.0/20"),
        "kubernetes_service_network",
        "overlaps kubernetes_pod_network",
        "apart",
    ),
    "host within the services' network by its base_address": (
        lambda b: b.hosts["node2"].update(base_address="10.96.0.7"),
        "all.hosts.node2.base_address",
        "address of node2 lies in kubernetes_service_network 10.96.0.0/12",
        "services",
    ),
    "host within the pods' network after one that Ansible places": (
        lambda b: (
            b.hosts["ctl1"].update(ansible_host="{{ x_address }}"),
            b.hosts["node1"].update(ansible_host="node1.example"),
            b.hosts["node2"].update(ansible_host="10.244.3.4"),
        ),
        "all.hosts.node2.ansible_host",
        "lies in kubernetes_pod_network",
        "pods",
    ),
    "host within the services' network beside pods' that are none": (
        lambda b: (
            b.vars.update(kubernetes_pod_network="10.244.0.1/16"),
            b.hosts["node2"].update(ansible_host="10.96.0.7"),
        ),
        "all.hosts.node2.ansible_host",
        "lies in kubernetes_service_network",
        "services",
    ),
    "pod network for one node less": (
        lambda b: (
            b.vars.update(kubernetes_pod_network="10.244.0.0/23"),
            b.hosts.update(new={"ansible_host": "192.0.2.30"}),
            [b.groups[group].append("new") for group in ("containerd", "kubernetes_node")],
        ),
        "kubernetes_pod_network",
        "has room for 2 nodes of /24 each, the site has 3",
        "larger",
    ),
    "pod network of one part of a node": (
        lambda b: b.vars.update(kubernetes_pod_network="10.244.0.0/25"),
        "kubernetes_pod_network",
        "has room for 0 nodes of /24 each, the site has 2",
        "larger",
    ),
    "host within the pods' network": (
        lambda b: b.hosts["node2"].update(ansible_host="10.244.3.4"),
        "all.hosts.node2.ansible_host",
        "lies in kubernetes_pod_network",
        "pods",
    ),
    "small pod network": (
        lambda b: b.vars.update(kubernetes_pod_network="10.244.0.0/24"),
        "kubernetes_pod_network",
        "room for 1 nodes",
        "larger",
    ),
    "same uid": (lambda b: _account(b, uid=10001), "users_accounts[1].uid", "this number", "own uid"),
    "same user name": (
        lambda b: _account(b, name="alice"),
        "users_accounts[1].name",
        "this name",
        "own name",
    ),
    "same group name": (
        lambda b: b.vars["users_groups"].append({"name": "physics", "gid": 20002}),
        "users_groups[1].name",
        "another group has this name",
        "own name",
    ),
    "same gid": (
        lambda b: b.vars["users_groups"].append({"name": "chemistry", "gid": 20001}),
        "users_groups[1].gid",
        "this number",
        "own gid",
    ),
    "user like a group": (
        lambda b: _account(b, name="physics"),
        "users_accounts[1].name",
        "name of a group",
        "rename",
    ),
    "uid like a gid": (lambda b: _account(b, uid=20001), "users_accounts[1].uid", "number of a group", "gid"),
    "unknown group": (
        lambda b: _account(b, groups=["phisics"]),
        "users_accounts[1].groups[0]",
        "not a group",
        "did you mean physics?",
    ),
    "group unlike any": (
        lambda b: _account(b, groups=["physics", "zoo"]),
        "users_accounts[1].groups[1]",
        "not a group",
        "add it to users_groups",
    ),
    "system user": (
        lambda b: _account(b, name="slurm"),
        "users_accounts[1].name",
        "operating system",
        "another",
    ),
    "user like a group of the operating system": (
        lambda b: _account(b, name="staff"),
        "users_accounts[1].name",
        "own group has the name of a group of the operating system",
        "another",
    ),
    "user like a group of the operating system that nobody is put into": (
        lambda b: _account(b, name="tty"),
        "users_accounts[1].name",
        "own group has the name of a group of the operating system",
        "another",
    ),
    "system group": (
        lambda b: b.vars["users_groups"].append({"name": "users", "gid": 20009}),
        "users_groups[1].name",
        "is a group of the operating system",
        "another",
    ),
    "group of a system user": (
        lambda b: b.vars["users_groups"].append({"name": "munge", "gid": 20009}),
        "users_groups[1].name",
        "is a group of the operating system",
        "another",
    ),
    "partition of an unknown host": (
        lambda b: _partition(b, nodes=["node3"]),
        "slurm_partitions[0].nodes[0]",
        "node3 is neither",
        "did you mean node2?",
    ),
    "partition of a group without Slurm": (
        lambda b: _partition(b, nodes="kubernetes_node"),
        "slurm_partitions[0].nodes",
        "no host of group kubernetes_node",
        "slurm_node",
    ),
    "partition of no nodes": (
        lambda b: b.vars["slurm_partitions"].append({"name": "later", "nodes": []}),
        "slurm_partitions[1].nodes",
        "partition later has no nodes",
        "remove the line for all",
    ),
    "partition of an empty text": (
        lambda b: _partition(b, nodes=""),
        "slurm_partitions[0].nodes",
        "partition main has no nodes",
        "name some",
    ),
    "partition of an empty group": (
        lambda b: (b.groups.update(rack1=[]), _partition(b, nodes=["rack1"])),
        "slurm_partitions[0].nodes[0]",
        "no host of group rack1",
        "another group",
    ),
    "Secrets in jobs whose environments are kept": (
        lambda b: b.vars.update(
            slurm_job_options={"secrets": True},
            slurm_controller_options={"accountingstoreflags": "job_comment, JOB_ENV"},
        ),
        "slurm_controller_options.accountingstoreflags",
        "job_env keeps the environments of jobs",
        "leave out job_env",
    ),
    "partition for an unknown account": (
        lambda b: _partition(b, allow_accounts=["physic"]),
        "slurm_partitions[0].allow_accounts[0]",
        "slurm_account",
        "did you mean physics?",
    ),
    "partition for the account that nobody is left in": (
        lambda b: (
            b.vars.update(slurm_default_account="everyone"),
            _partition(b, allow_accounts=["physics", "users"]),
        ),
        "slurm_partitions[0].allow_accounts[1]",
        "slurm_account",
        "use one of everyone, physics",
    ),
    "partition for an unknown group": (
        lambda b: _partition(b, allow_groups=["zoo"]),
        "slurm_partitions[0].allow_groups[0]",
        "users_groups",
        "use one of alice, bob, physics",
    ),
    "partition for the account of an absent user": (
        lambda b: (_account(b, slurm_account="zoo", state="absent"), _partition(b, allow_accounts=["zoo"])),
        "slurm_partitions[0].allow_accounts[0]",
        "slurm_account of any user",
        "use one of physics, users",
    ),
    "partition for an absent group": (
        lambda b: (
            b.vars["users_groups"].append({"name": "zoo", "gid": 20002, "state": "absent"}),
            _account(b, state="absent"),
            _partition(b, allow_groups=["zoo"]),
        ),
        "slurm_partitions[0].allow_groups[0]",
        "group of users_groups",
        "use one of alice, physics",
    ),
    "partition of a group, and of an unknown one": (
        lambda b: _partition(b, nodes=["all", "slurm_node", "zoo"]),
        "slurm_partitions[0].nodes[2]",
        "zoo is neither",
        "use all, or a list of hosts",
    ),
    "partition of a misspelt group": (
        lambda b: (b.groups.update(rack1=["node2"]), _partition(b, nodes=["rock1"])),
        "slurm_partitions[0].nodes[0]",
        "rock1 is neither",
        "did you mean rack1?",
    ),
    "same partition name": (
        lambda b: b.vars["slurm_partitions"].append({"name": "main"}),
        "slurm_partitions[1].name",
        "this name",
        "own name",
    ),
    "two default partitions": (
        lambda b: b.vars["slurm_partitions"].append({"name": "more", "default": True}),
        "slurm_partitions[1].default",
        "default too",
        "one default",
    ),
    "hosts for a cluster of others": (
        lambda b: b.vars.update(kubernetes_provider="existing", kubernetes_kubeconfig="kubeconfig"),
        "all.children.kubernetes_node",
        "group kubernetes_node has hosts",
        "kubeadm",
    ),
    "a kubeconfig for a cluster of one's own": (
        lambda b: b.vars.update(kubernetes_kubeconfig="kubeconfig"),
        "kubernetes_kubeconfig",
        "existing cluster only",
        "kubernetes_provider",
    ),
    "two slurmrestd": (
        lambda b: b.vars.update(slurm_rest_url="https://rest.example:6820"),
        "slurm_rest_url",
        "runs a slurmrestd itself",
        "slurm_rest",
    ),
    "a slurmrestd without a scheme": (
        lambda b: b.vars.update(slurm_rest_url="rest.example:6820"),
        "slurm_rest_url",
        "not an http address",
        "https://",
    ),
    "missing name of a site beside a cluster of others": (
        lambda b: (_existing_cluster(b), b.vars.pop("site_name")),
        "",
        "site_name is not set",
        "group_vars/all",
    ),
    "missing variable of every host": (
        lambda b: b.vars.pop("site_domain"),
        "",
        "site_domain is not set, and needed by base",
        "set it in group_vars/all",
    ),
    "missing variable of many hosts": (
        lambda b: (
            b.hosts["node2"].update(site_domain=b.vars.pop("site_domain")),
            b.hosts.update({f"new{number}": {"ansible_host": f"192.0.2.3{number}"} for number in range(3)}),
        ),
        "",
        "site_domain is not set, and needed by base",
        "set it in the variables of ctl1, new0, new1 and 2 more hosts",
    ),
    "missing variable": (
        lambda b: b.vars.pop("slurm_cluster_name"),
        "",
        "slurm_cluster_name is not set, and needed by slurm_controller",
        "set it in the variables of ctl1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule(sandbox: Sandbox, name: str) -> None:
    spoil, key, problem, remedy = CASES[name]
    spoil(sandbox)
    mistakes = [mistake for mistake in sandbox.mistakes() if problem in mistake.problem]
    assert len(mistakes) == 1, "\n".join(map(str, sandbox.mistakes()))
    assert mistakes[0].key == key
    assert remedy in mistakes[0].remedy


@pytest.mark.parametrize("owner", ["slurm", "shared"])
@pytest.mark.parametrize("way", ["owner", "group"])
def test_both_remedies_for_the_owner_of_a_control_plane_help(sandbox: Sandbox, owner: str, way: str) -> None:
    sandbox.hosts["ctl1"]["node_owner"] = owner
    (mistake,) = sandbox.mistakes()
    words = mistake.remedy.split()
    if way == "owner":
        sandbox.hosts["ctl1"][words[1]] = words[3].rstrip(",")
    else:
        sandbox.groups[words[-1]].append("ctl1")
    assert sandbox.mistakes() == []


ALLOWED: dict[str, Spoil] = {
    "a shared node": lambda b: (_shared_node(b), b.hosts["node1"].update(node_owner="shared")),
    "a node that can move, and is Kubernetes' first": _shared_node,
    "a node that can move, and is Slurm's first": lambda b: (
        _shared_node(b),
        b.hosts["node1"].update(node_owner="slurm"),
    ),
    "a control plane that Kubernetes owns": lambda b: b.hosts["ctl1"].update(node_owner="kubernetes"),
    "a control plane that Slurm shares": lambda b: (
        b.groups["slurm_node"].append("ctl1"),
        b.hosts["ctl1"].update(node_owner="shared"),
    ),
    "a control plane of Slurm's": lambda b: (
        b.groups["slurm_node"].append("ctl1"),
        b.hosts["ctl1"].update(node_owner="slurm"),
    ),
    "a node whose owner Ansible says": lambda b: b.hosts["node1"].update(node_owner="{{ x_owner }}"),
    "a node of one scheduler without an owner": lambda b: b.hosts["node1"].pop("node_owner"),
    "own groups, and partitions of them": lambda b: (
        b.groups.update(rack1=["node1", "node2"]),
        b.vars["slurm_partitions"].append({"name": "rack", "nodes": ["rack1"]}),
    ),
    "hosts in groups only": lambda b: b.hosts.clear() or _addresses_in_files(b),
    "a name for ssh, and an address for the others": lambda b: b.hosts["node2"].update(
        ansible_host="node2.example", base_address="192.0.2.99"
    ),
    "addresses made by Ansible": lambda b: [
        b.hosts[name].update(ansible_host="{{ x_address }}") for name in ("node1", "node2")
    ],
    "a network made by Ansible": lambda b: b.vars.update(kubernetes_service_network="{{ x_network }}"),
    "as many nodes as the pod network has parts": lambda b: b.vars.update(
        kubernetes_pod_network="10.244.0.0/23"
    ),
    "absent users and groups, which collide with nobody": lambda b: (
        b.vars["users_accounts"].append({"name": "alice", "uid": 10001, "state": "absent"}),
        b.vars["users_accounts"].append({"name": "slurm", "uid": 20001, "state": "absent"}),
        b.vars["users_groups"].append({"name": "physics", "gid": 20001, "state": "absent"}),
        b.vars["users_groups"].append({"name": "bob", "gid": 10002, "state": "absent"}),
    ),
    "a full name in any language": lambda b: _account(b, full_name="Zoë O'Neil-Møller, 李 (physics)"),
    "users and groups named by Ansible": lambda b: (
        b.vars["users_accounts"].extend({"name": "{{ x_name }}", "uid": uid} for uid in (10003, 10004)),
        _account(b, groups=["{{ x_group }}"]),
    ),
    "groups of the operating system": lambda b: _account(b, groups=["video", "render"]),
    "Secrets in jobs": lambda b: b.vars.update(
        slurm_job_options={"secrets": True}, slurm_controller_options={"AccountingStoreFlags": "job_comment"}
    ),
    "environments of jobs that are kept": lambda b: b.vars.update(
        slurm_controller_options={"AccountingStoreFlags": "job_comment,job_env"}
    ),
    "a partition for the default account": lambda b: _partition(b, allow_accounts=["users", "physics"]),
    "a partition for a default account of the site's own": lambda b: (
        b.vars.update(slurm_default_account="everyone"),
        _partition(b, allow_accounts=["everyone"]),
    ),
    "a partition for a group, and for one user": lambda b: _partition(b, allow_groups=["physics", "bob"]),
    "a partition of names made by Ansible": lambda b: _partition(
        b, nodes="{{ x_nodes }}", allow_groups=["{{ x_group }}"]
    ),
    "partitions of which one is the default": lambda b: b.vars["slurm_partitions"].append(
        {"name": "more", "default": False}
    ),
    "a slurmrestd of others": lambda b: (
        b.groups.pop("slurm_rest"),
        b.vars.update(slurm_rest_url="https://rest.example:6820"),
    ),
    "a slurmrestd of others without TLS": lambda b: (
        b.groups.pop("slurm_rest"),
        b.vars.update(slurm_rest_url="http://rest.example:6820"),
    ),
    "Slurm beside a cluster of others": lambda b: _existing_cluster(b),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_no_rule_forbids(sandbox: Sandbox, name: str) -> None:
    ALLOWED[name](sandbox)
    assert sandbox.mistakes() == []


def _without_hosts(box: Sandbox, **variables: object) -> None:
    box.hosts.clear()
    box.groups.clear()
    box.vars = {"kubernetes_provider": "existing", **variables}


def test_a_cluster_of_others_needs_no_hosts(sandbox: Sandbox) -> None:
    _without_hosts(sandbox, kubernetes_kubeconfig="kubeconfig", site_name="tiny", site_domain="tiny.example")
    assert sandbox.mistakes() == []


def test_what_must_be_said_of_a_cluster_of_others(sandbox: Sandbox) -> None:
    _without_hosts(sandbox)
    problems = sorted(mistake.problem for mistake in sandbox.mistakes())
    assert [problem.split()[0] for problem in problems] == [
        "kubernetes_kubeconfig",
        "site_domain",
        "site_name",
    ]
