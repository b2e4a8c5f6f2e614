"""Mistakes in single values: what is wrong, where it stands, what to do."""

import pytest

from tests.unit.site.conftest import Sandbox


def test_the_sandbox_has_no_mistakes(sandbox: Sandbox) -> None:
    assert sandbox.mistakes() == []


@pytest.mark.parametrize(
    ("variable", "value", "key", "problem", "remedy"),
    [
        ("registry_prot", 5000, "registry_prot", "not a variable", "did you mean registry_port?"),
        ("quite_unlike", 1, "quite_unlike", "not a variable", "x_quite_unlike"),
        ("registry_port", "high", "registry_port", "whole number", "number"),
        ("registry_port", 70000, "registry_port", "at most 65535", "limits"),
        ("registry_port", "5000", "registry_port", "not a whole number", "without quotes"),
        ("registry_port", float("inf"), "registry_port", "not a whole number", "without quotes"),
        ("registry_port", True, "registry_port", "not a whole number", "without quotes"),
        ("registry_port", None, "registry_port", "has no value", "remove the line"),
        ("site_name", 7, "site_name", "not a text", "quotes"),
        ("site_name", "Tiny!", "site_name", "not a DNS label", "a-z"),
        ("site_name", "a" * 57, "site_name", "of at most 56 characters", "1 to 56"),
        ("site_domain", "tiny_.example", "site_domain", "not a DNS domain", "lower-case"),
        ("artifacts_source", "floppy", "artifacts_source", "not allowed", "'mirror'"),
        ("ansible_become", "perhaps", "ansible_become", "neither true nor false", "true or false"),
        ("slurm_rest_accounting", "no", "slurm_rest_accounting", "neither true", "without quotes"),
        ("shared_home_kubernetes", "no", "shared_home_kubernetes", "neither true", "without quotes"),
        ("shared_home_kubernetes", 0, "shared_home_kubernetes", "neither true", "without quotes"),
        ("slurm_node_cpus", "4", "slurm_node_cpus", "not a whole number", "without quotes"),
        ("slurm_node_sockets", 2.0, "slurm_node_sockets", "not a whole number", "without quotes"),
        ("base_packages", "vim", "base_packages", "not a list", "- item"),
        ("base_packages", [1], "base_packages[0]", "not a text", "quotes"),
        ("kubernetes_kubelet_overrides", [], "kubernetes_kubelet_overrides", "not a mapping", "key: value"),
        ("kubernetes_pod_network", "10.244.0.0/33", "kubernetes_pod_network", "not an IPv4", "10.244.0.0/16"),
        ("kubernetes_pod_network", "10.244.0.1/16", "kubernetes_pod_network", "bits", "write 10.244.0.0/16"),
        ("kubernetes_pod_network", "10.244.0.0", "kubernetes_pod_network", "no prefix", "10.244.0.0/16"),
        (
            "kubernetes_service_network",
            "128.0.0.0/3",
            "kubernetes_service_network",
            "useful size",
            "/4 to /30",
        ),
        (
            "kubernetes_service_network",
            "10.96.0.0/31",
            "kubernetes_service_network",
            "useful size",
            "/4 to /30",
        ),
        ("slurm_cluster_name", "Big Iron", "slurm_cluster_name", "not a Slurm name", "capitals"),
        ("secret_munge_key", "abc", "secret_munge_key", "plain text", "secrets.vault"),
        ("ansible_password", "abc", "ansible_password", "not a variable of platformctl", ""),
        ("ansible_become_method", "su", "ansible_become_method", "not allowed", "'sudo'"),
        ("ansible_become_user", "alice", "ansible_become_user", "not allowed", "'root'"),
        ("ansible_become_password", "abc", "ansible_become_password", "plain text", "ansible-vault"),
    ],
)
def test_a_wrong_value(
    sandbox: Sandbox, variable: str, value: object, key: str, problem: str, remedy: str
) -> None:
    sandbox.vars[variable] = value
    mistake = sandbox.only()
    assert mistake.file == sandbox.folder / "group_vars/all/main.yml"
    assert mistake.key == key
    assert problem in mistake.problem
    assert remedy in mistake.remedy


@pytest.mark.parametrize(
    ("entry", "key", "problem", "remedy"),
    [
        ({"name": "eve"}, "users_accounts[2].uid", "is missing", "add uid here"),
        ({"name": "eve", "uid": 10003, "grups": []}, "users_accounts[2].grups", "not a key", "mean groups?"),
        (
            {"name": "eve", "uid": 10003, "zoo": []},
            "users_accounts[2].zoo",
            "not a key",
            "known are name, uid",
        ),
        ({"name": "Eve", "uid": 10003}, "users_accounts[2].name", "not a POSIX name", "at most 32"),
        ({"name": "eve", "uid": 0}, "users_accounts[2].uid", "must be at least 1000", "limits"),
        ({"name": "eve", "uid": None}, "users_accounts[2].uid", "has no value", "give it one"),
        ({"name": ["eve"], "uid": 10003}, "users_accounts[2].name", "not a text", "quotes"),
        ({"name": "eve", "uid": "10003"}, "users_accounts[2].uid", "not a whole number", "without quotes"),
        ({"name": "eve", "uid": [10003]}, "users_accounts[2].uid", "not a whole number", "whole number"),
        *(
            (
                {"name": "eve", "uid": 10003, "full_name": name},
                "users_accounts[2].full_name",
                "holds",
                "colons",
            )
            for name in ("Eve: staff", "Eve\nExample", "Eve \x7f", 'Eve "E" Example', "Eve\\", "Eve %m")
        ),
        ({"name": "eve", "uid": 10003, "groups": [7]}, "users_accounts[2].groups[0]", "not a text", "quotes"),
        (
            {"name": "eve", "uid": 10003, 7: 1},
            "users_accounts[2][7]",
            "should be strings",
            "platformctl docs variables",
        ),
        ("eve", "users_accounts[2]", "not a mapping", "key: value"),
    ],
)
def test_a_wrong_key_of_a_list(sandbox: Sandbox, entry: object, key: str, problem: str, remedy: str) -> None:
    sandbox.vars["users_accounts"].append(entry)
    mistake = sandbox.only()
    assert mistake.key == key
    assert problem in mistake.problem
    assert remedy in mistake.remedy


def test_a_quoted_default_of_a_partition_is_refused(sandbox: Sandbox) -> None:
    sandbox.vars["slurm_partitions"].append({"name": "more", "default": "no"})
    mistake = sandbox.only()
    assert mistake.key == "slurm_partitions[1].default"
    assert mistake.remedy == "write true or false, without quotes"


def test_a_time_that_yaml_reads_as_a_number_is_refused(sandbox: Sandbox) -> None:
    sandbox.write()
    sandbox.text("group_vars/slurm_node.yml", "")
    sandbox.vars.pop("slurm_partitions")
    sandbox.write()
    sandbox.text("group_vars/all/slurm.yml", "slurm_partitions:\n  - name: main\n    max_time: 1:30:00\n")
    from platformctl import site

    (mistake,) = site.check(sandbox.folder)
    assert (mistake.key, mistake.line) == ("slurm_partitions[0].max_time", 3)


def test_an_address_of_the_wrong_type_is_one_mistake(sandbox: Sandbox) -> None:
    sandbox.hosts["node1"]["ansible_host"] = sandbox.hosts["node2"]["ansible_host"] = 7
    found = [(mistake.key, mistake.problem) for mistake in sandbox.mistakes()]
    assert found == [(f"all.hosts.{node}.ansible_host", "is not a text") for node in ("node1", "node2")]


@pytest.mark.parametrize("owner", ["nobody", ["slurm"], 7])
def test_an_owner_that_none_can_be_is_one_mistake(sandbox: Sandbox, owner: object) -> None:
    sandbox.hosts["node1"]["node_owner"] = owner
    assert (sandbox.only().key, sandbox.only().problem) == ("all.hosts.node1.node_owner", "is not allowed")


def test_own_variables_and_templates_are_left_alone(sandbox: Sandbox) -> None:
    sandbox.vars["x_rack"] = {"anything": 1}
    sandbox.vars["registry_port"] = "{{ x_port }}"
    sandbox.vars["base_packages"] = "{% if x_rack %}[vim]{% endif %}"
    sandbox.vars["users_accounts"].append({"name": "eve", "uid": "{{ x_uid }}"})
    sandbox.vars["ansible_become_password"] = "{{ lookup('ansible.builtin.env', 'PASSWORD') }}"
    assert sandbox.mistakes() == []


def test_vaulted_values_fit_every_type(sandbox: Sandbox) -> None:
    sandbox.write()
    vaulted = "$ANSIBLE_VAULT;1.1;AES256\n  6162\n"
    sandbox.text("group_vars/all/connection.yml", f"ansible_become_password: !vault |\n  {vaulted}")
    assert sandbox.mistakes() == []


def test_a_site_wide_variable_belongs_to_all(sandbox: Sandbox) -> None:
    sandbox.hosts["node1"]["kubernetes_pod_network"] = "10.0.0.0/8"
    mistake = sandbox.only()
    assert mistake.key == "all.hosts.node1.kubernetes_pod_network"
    assert mistake.value == "10.0.0.0/8"
    assert "whole site" in mistake.problem
    assert mistake.remedy == "move it to group_vars/all"


def test_a_wrong_value_in_the_wrong_place_is_two_mistakes(sandbox: Sandbox) -> None:
    sandbox.hosts["node1"]["registry_port"] = "high"
    assert [mistake.key for mistake in sandbox.mistakes()] == ["all.hosts.node1.registry_port"] * 2


def test_confidential_values_are_not_shown(sandbox: Sandbox) -> None:
    sandbox.vars["ansible_become_password"] = ["canary-value"]
    sandbox.vars["secret_munge_key"] = "canary-value"
    sandbox.vars["some_token"] = "canary-value"
    assert len(found := sandbox.mistakes()) == 3
    assert "canary-value" not in "".join(map(str, found))
