"""Reading and merging an inventory: as Ansible does, and with the place of everything that is odd."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from platformctl import paths, site
from platformctl.errors import ExitCode, PlatformError
from platformctl.site.effective import Effective
from platformctl.site.inventory import read_inventory
from platformctl.site.mistakes import shown
from platformctl.site.ranges import expand
from platformctl.site.reading import Document, read
from tests.unit.site.conftest import EXAMPLE, LAB, Sandbox

INTRICATE = {
    "hosts.yml": """
all:
  vars: {x_a: inline all, x_b: inline all}
  hosts:
    n[01:03]: {ansible_host: 192.0.2.1}
    lone:
  children:
    outer:
      vars: {x_b: inline outer, x_c: inline outer, x_list: [1, 2]}
      children:
        inner: {hosts: {"n02": {x_d: host inline}}, vars: {x_c: inline inner, x_q: inner}}
        first: {hosts: {"n02": null}, vars: {x_q: first, ansible_group_priority: 2}}
        other: {vars: {x_c: inline other, ansible_group_priority: 5}, hosts: {"n02": null}}
    beside: {hosts: n03}
topmost:
  hosts: {"n[01:02]": {x_e: twice}, "rack[a:c]-x": {}}
  children: {beside: {}}
""",
    "group_vars/all/one.yml": "x_a: file all\nx_f: {deep: [1, {x: 2}]}\n",
    "group_vars/all/two.yaml": "x_g: 0o17\nx_h: 1_000\nx_i: yes\nx_j: 2026-11-22\n",
    "group_vars/all/deeper/three.json": '{"x_k": "json"}',
    "group_vars/all/.hidden.yml": "x_l: 1",
    "group_vars/all/secrets.vault": "not read",
    "group_vars/outer.yml": "x_list: [3]\nx_m: outer\n",
    "group_vars/inner/file": "x_m: inner\nx_n: !unsafe '{{ kept }}'\n",
    "group_vars/inner/more": "x_u: !unsafe {k: [1, {l: m}]}\nx_v: !unsafe [a, [b]]\n",
    "host_vars/n02.yml": "x_d: host file\n",
    "host_vars/lone/a.yml": "x_o: &anchor {k: 1}\nx_p: {<<: *anchor, l: 2}\n",
}


@pytest.fixture
def intricate(sandbox: Sandbox) -> Path:
    for name, content in INTRICATE.items():
        sandbox.text(name, content)
    return sandbox.folder


def _ansible(inventory: Path) -> dict[str, Any]:
    program = Path(sys.executable).with_name("ansible-inventory")
    command = [program, "-i", inventory, "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(
        done.stdout, object_hook=lambda value: value.get("__ansible_unsafe", value)
    )
    return found


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


@pytest.mark.parametrize("which", ["lab", "example", "intricate"])
def test_the_same_as_ansible(which: str, intricate: Path) -> None:
    inventory = {"lab": LAB, "example": EXAMPLE, "intricate": intricate}[which]
    read = read_inventory(inventory)
    assert read.mistakes == []
    effective = Effective(read)
    theirs = _ansible(inventory)
    ours = {host: _plain(effective.variables(host)) for host in effective.hosts}
    assert len(ours) >= 3
    assert ours == {host: theirs["_meta"]["hostvars"].get(host, {}) for host in ours}
    assert set(theirs["_meta"]["hostvars"]) <= set(ours)
    direct = {name: group.get("hosts", []) for name, group in theirs.items() if name not in ("_meta", "all")}
    for name, hosts in direct.items():
        assert set(hosts) <= set(effective.members.get(name, hosts))


def test_the_origin_of_a_value(intricate: Path) -> None:
    effective = Effective(read_inventory(intricate))
    origins = {
        variable: effective.origin("n02", variable).document.path.relative_to(intricate).as_posix()
        for variable in ("x_a", "x_c", "x_d", "x_m", "x_list")
    }
    assert origins == {
        "x_a": "group_vars/all/one.yml",
        "x_c": "hosts.yml",
        "x_d": "host_vars/n02.yml",
        "x_m": "group_vars/inner/file",
        "x_list": "group_vars/outer.yml",
    }


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("n1", ["n1"]),
        ("n[1:3]", ["n1", "n2", "n3"]),
        ("n[08:10]", ["n08", "n09", "n10"]),
        ("r[a:b]n[1:2]", ["ran1", "ran2", "rbn1", "rbn2"]),
        ("n[0:6:3]", ["n0", "n3", "n6"]),
        ("n[9:11]", ["n9", "n10", "n11"]),
        ("n[5:6]", ["n5", "n6"]),
        ("r[w:z:2]", ["rw", "ry"]),
    ],
)
def test_ranges(pattern: str, names: list[str]) -> None:
    assert list(expand(pattern)) == names


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("n[3:1]", "the range is empty"),
        ("n[b:a]", "the range is empty"),
        ("n[01:100]", "the same number of digits"),
        *((pattern, "or from letter to letter") for pattern in ("n[a:9]", "n[1:b]", "n[ab:c]", "n[a:bc]")),
        ("n[a:é]", "or from letter to letter"),
    ],
)
def test_ranges_that_make_no_sense(pattern: str, problem: str, sandbox: Sandbox) -> None:
    sandbox.hosts[pattern] = {"ansible_host": "192.0.2.50"}
    mistake = sandbox.only()
    assert problem in mistake.problem
    assert (mistake.value, mistake.remedy) == (pattern, "write it as name[01:20]")


ODD: dict[str, tuple[str, str, str]] = {
    "group_vars/al.yml": ("x_a: 1", "a group that does not exist", "did you mean all?"),
    "group_vars/zoo": (
        "x_a: 1",
        "gives variables to a group that does not exist",
        "add the group to hosts.yml",
    ),
    "host_vars/node9.yml": ("x_a: 1", "a host that does not exist", "did you mean node"),
    "host_vars/zoo.yml": (
        "x_a: 1",
        "gives variables to a host that does not exist",
        "add the host to hosts.yml",
    ),
    "group_vars/all.yml": ("x_a: 1", "is not read, because all exists", "move its content"),
    "more.yml": ("all: {}", "second inventory", "move its hosts to hosts.yml"),
    "group_vars/all/bad.yml": ("a: [1,\nb: }", "not valid YAML", "syntax"),
    "group_vars/all/date.yml": ("x_a: 2026-13-01", "not valid YAML", "syntax"),
    "group_vars/all/circle.yml": ("x_a: &a [*a]", "Circular reference", "syntax"),
    "group_vars/all/list.yml": ("- a", "something else than a mapping", "name: value"),
    "group_vars/all/twice.yml": ("x_a: 1\nx_b: 2\nx_a: 3", "given twice", "remove one"),
    "group_vars/all/within.yml": ("x_a:\n  - 1\n  - {b: 1, b: 2}", "given twice", "remove one"),
}


LINES = {
    "bad.yml": ("", 2),
    "date.yml": ("", 0),
    "list.yml": ("", 1),
    "twice.yml": ("x_a", 3),
    "within.yml": ("x_a[1].b", 3),
}


@pytest.mark.parametrize("name", LINES)
def test_where_odd_files_are_odd(sandbox: Sandbox, name: str) -> None:
    sandbox.text(f"group_vars/all/{name}", ODD[f"group_vars/all/{name}"][0])
    mistake = sandbox.only()
    assert (mistake.key, mistake.line) == LINES[name]


@pytest.mark.parametrize("name", ODD)
def test_odd_files(sandbox: Sandbox, name: str) -> None:
    content, problem, remedy = ODD[name]
    sandbox.text(name, content)
    mistake = sandbox.only()
    assert mistake.file == sandbox.folder / name
    assert problem in mistake.problem
    assert remedy in mistake.remedy


def test_each_odd_file_of_a_folder_is_named(sandbox: Sandbox) -> None:
    for name in ("README.md", "all.d/x.yml", "zoo.yml"):
        sandbox.text(f"group_vars/{name}", "x_a: 1")
    found = [(mistake.file.name, mistake.line, mistake.value) for mistake in sandbox.mistakes()]
    assert found == [("all.d", 0, "all.d"), ("zoo.yml", 0, "zoo")]


def test_groups_beside_a_circle_are_still_judged(sandbox: Sandbox) -> None:
    sandbox.write()
    circles = "  aa: {children: {aa: {}}}\n  bb: {children: {cc: {children: {bb: {}}}}}\n"
    sandbox.text("hosts.yml", f"all:\n children:\n{circles}")
    found = [found.key for found in site.check(sandbox.folder) if "inside itself" in found.problem]
    assert found == ["all.children.aa.children.aa", "all.children.bb.children.cc.children.bb"]


def test_each_file_beside_the_one_that_is_read(sandbox: Sandbox) -> None:
    names = ["node1.yml", "node1.yaml", "node1.json"]
    for name in names:
        sandbox.text(f"host_vars/{name}", "{}")
    found = [(mistake.file.name, mistake.problem) for mistake in sandbox.mistakes()]
    assert found == [(name, "is not read, because node1.yml exists beside it") for name in sorted(names[1:])]


def test_the_line_of_a_mistake(sandbox: Sandbox) -> None:
    sandbox.vars.pop("users_accounts")
    users = "# people\nusers_accounts:\n  - name: alice\n    uid: 10001\n\n  - {name: bob,\n     uid: 12}\n"
    sandbox.text("group_vars/all/users.yml", users)
    mistake = sandbox.only()
    assert (mistake.line, mistake.key, mistake.value) == (7, "users_accounts[1].uid", "12")
    assert str(mistake).startswith(f"{sandbox.folder}/group_vars/all/users.yml:7: users_accounts[1].uid: ")


@pytest.mark.parametrize(
    ("text", "key", "problem", "remedy"),
    [
        ("all: {host: {}}", "all.host", "not a part of a group", "did you mean hosts?"),
        ("all: {zoo: {}}", "all.zoo", "not a part of a group", "a group has hosts, children and vars"),
        ("all: {hosts: [a]}", "all.hosts", "is not a mapping", "write `name:` lines"),
        ("all: {vars: a}", "all.vars", "is not a mapping", "write `name:` lines"),
        (
            "all: {hosts: {a: 1}}",
            "all.hosts.a",
            "not a mapping of variables",
            "write {name: value} or nothing",
        ),
        ("all: {children: {a: 3}}", "all.children.a", "not a group", "give it hosts, children or vars"),
        (
            "all: {children: {aa: {vars: {ansible_group_priority: high}}}}",
            "all.children.aa.vars.ansible_group_priority",
            "not a whole number",
            "write a whole number",
        ),
        (
            "all: {children: {cc: {children: {aa: {children: {bb: {children: {aa: {}}}}}}}}}",
            "all.children.cc.children.aa.children.bb.children.aa",
            "a group inside itself",
            "take it out",
        ),
        (
            "aa: {children: {bb: {children: {aa: {hosts: {h: {}}}}}}}",
            "aa.children.bb.children.aa",
            "a group inside itself",
            "take it out",
        ),
        ("aa: {children: {aa: {}}}", "aa.children.aa", "a group inside itself", "take it out"),
        ("", "", "has no hosts", "list them"),
    ],
)
def test_odd_groups(sandbox: Sandbox, text: str, key: str, problem: str, remedy: str) -> None:
    sandbox.write()
    sandbox.text("hosts.yml", f"---\n{text}")
    (mistake,) = [found for found in site.check(sandbox.folder) if problem in found.problem]
    assert (mistake.file, mistake.line) == (sandbox.folder / "hosts.yml", 2 if key else 0)
    assert mistake.key == key
    assert mistake.problem.endswith(problem)
    assert mistake.remedy.startswith(remedy)


def test_a_group_is_said_to_stand_where_it_is_described(sandbox: Sandbox) -> None:
    sandbox.write()
    groups = "    slurm_nodes:\n    other: {children: {slurm_nodes: {hosts: {node2: }}}}\n"
    hosts = "all:\n  hosts: {node2: {ansible_host: 192.0.2.1}}\n  children:\n"
    sandbox.text("hosts.yml", f"{hosts}{groups}")
    (mistake,) = [found for found in site.check(sandbox.folder) if "is similar to" in found.problem]
    assert (mistake.key, mistake.line) == ("all.children.other.children.slurm_nodes", 5)


UNREAD = (
    *("README.md", "notes.txt", "hosts.yml~", "hosts.yml.orig", "ansible.cfg", ".hidden", "playbooks/x.yml"),
    *("group_vars/README.md", "group_vars/.hidden.yml", "host_vars/zoo.yml~"),
    *(f"group_vars/all/{name}" for name in ("notes.md", ".hidden.yml", "main.yml~", "main~", "a.d/x.yml")),
)


@pytest.mark.parametrize("name", UNREAD)
def test_files_that_ansible_leaves_out(sandbox: Sandbox, name: str) -> None:
    sandbox.text(name, "site_name: 7")
    assert sandbox.mistakes() == []


@pytest.mark.parametrize("name", ["all.yml", "all.yaml", "all.json"])
def test_one_file_of_variables_for_a_group(sandbox: Sandbox, name: str) -> None:
    sandbox.write()
    (sandbox.folder / "group_vars/all/main.yml").unlink()
    (sandbox.folder / "group_vars/all").rmdir()
    sandbox.text(f"group_vars/{name}", json.dumps(sandbox.vars))
    assert site.check(sandbox.folder) == []
    assert site.load(sandbox.folder).name == "tiny"


def test_rules_say_nothing_on_hosts_that_could_not_be_read(sandbox: Sandbox) -> None:
    sandbox.write()
    sandbox.text("hosts.yml", "all: [")
    (mistake,) = site.check(sandbox.folder)
    assert "not valid YAML" in mistake.problem


def test_merged_mappings_are_not_given_twice(sandbox: Sandbox) -> None:
    sandbox.text("group_vars/all/merge.yml", "x_a: &a {k: 1}\nx_b: &b {l: 1}\nx_c: {<<: *a, <<: *b}\n")
    assert sandbox.mistakes() == []


def test_the_address_of_a_host_is_that_for_others(sandbox: Sandbox) -> None:
    sandbox.hosts["node2"] = {"ansible_host": "node2.example", "base_address": "192.0.2.99"}
    sandbox.hosts["node1"]["ansible_host"] = "{{ x_address }}"
    found = site.load(sandbox.write())
    assert (found.hosts["node2"].address, found.hosts["node1"].address) == ("192.0.2.99", "{{ x_address }}")


def test_load_gives_the_site(sandbox: Sandbox) -> None:
    found = site.load(sandbox.write())
    assert (found.name, found.shared["site_domain"], found.inventory) == (
        "tiny",
        "tiny.example",
        sandbox.folder,
    )
    assert list(found.hosts) == ["ctl1", "node1", "node2"]
    assert [found.hosts[name].address for name in found.groups["slurm_node"]] == ["192.0.2.13"]
    assert found.hosts["ctl1"].groups >= {"registry", "slurm_controller"}
    assert found.hosts["node2"].vars["slurm_cluster_name"] == "tiny"
    assert "nothing" not in found.groups
    assert site.load(sandbox.folder / "hosts.yml").hosts == found.hosts
    assert found.shared["slurm_cluster_name"] == "tiny"


def test_a_site_without_hosts_has_what_they_would_share() -> None:
    found = site.load(paths.data_dir() / "inventories" / "kind")
    assert (found.hosts, found.shared["site_name"]) == ({}, found.name)


def test_load_raises_all_mistakes_together(sandbox: Sandbox) -> None:
    sandbox.vars.update(site_name="No!", registry_prot=1)
    with pytest.raises(PlatformError) as caught:
        site.load(sandbox.write())
    assert caught.value.code is ExitCode.INVALID
    details = "\n".join(caught.value.details)
    assert all(
        f"main.yml:{line}: {name}: " in details for line, name in ((4, "registry_prot"), (6, "site_name"))
    )
    assert "the inventory has 2 mistakes" in caught.value.what
    assert caught.value.where == str(sandbox.folder)
    assert f"platformctl validate -i {sandbox.folder}" in caught.value.next


def test_load_raises_a_single_mistake(sandbox: Sandbox) -> None:
    sandbox.vars["registry_prot"] = 1
    with pytest.raises(PlatformError, match="has 1 mistake; nothing was touched"):
        site.load(sandbox.write())


@pytest.mark.parametrize("name", ["", "hosts.yml"])
def test_no_inventory_at_all(tmp_path: Path, name: str) -> None:
    (mistake,) = site.check(tmp_path / name)
    assert (mistake.place, mistake.problem) == (str(tmp_path / "hosts.yml"), "does not exist")
    remedy = "make an inventory with: platformctl init NAME"
    assert str(mistake) == f"{tmp_path / 'hosts.yml'}: does not exist; {remedy}"


@pytest.mark.parametrize(
    ("value", "keys", "text"),
    [
        ("x" * 60, (), "x" * 60),
        ("x" * 61, (), "x" * 57 + "..."),
        ({"a": [1, None]}, (), '{"a": [1, null]}'),
        ([date(2026, 11, 22)], (), '["2026-11-22"]'),
        ("canary", ("x_TOKEN",), "a hidden value"),
        ("canary", ("x_keys", 0, "private_key"), "a hidden value"),
        ("~/.ssh/id", ("ansible_ssh_private_key_file",), "~/.ssh/id"),
    ],
)
def test_a_value_in_a_message(value: object, keys: tuple[str | int, ...], text: str) -> None:
    assert shown(value, keys) == text


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ((), 0),
        (("x_list",), 2),
        (("x_list", 0), 3),
        (("x_list", 1), 4),
        (("x_list", 1, "b"), 5),
        # What is not there is said to be where it would be.
        (("x_list", 2), 2),
        (("x_list", "name"), 2),
        (("x_text", 0), 6),
        (("x_map", 0), 7),
        (("x_map", 7, "c"), 8),
        (("x_none", "c"), 0),
    ],
)
def test_the_line_of_a_value(tmp_path: Path, keys: tuple[str | int, ...], line: int) -> None:
    path = tmp_path / "a.yml"
    path.write_text("# a\nx_list:\n  - 1\n  - a: 1\n    b: 2\nx_text: abc\nx_map:\n  7: {c: 1}\n")
    document, mistakes = read(path)
    assert (mistakes, document.line(keys)) == ([], line)


def test_a_file_that_cannot_be_read_counts_as_empty(tmp_path: Path) -> None:
    document, (mistake,) = read(tmp_path)
    assert document == Document(tmp_path, {})
    assert str(mistake) == (
        f"{tmp_path}: cannot be read: [Errno 21] Is a directory: '{tmp_path}'; make it readable"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1,\nb: }", ":2: is not valid YAML: did not find expected node content; correct the syntax"),
        ("a: 2026-13-01", ": is not valid YAML: month must be in 1..12; correct the syntax"),
        ("- a", ":1: holds something else than a mapping of names to values; write `name: value` lines"),
        ("a: 1\nb: {c: 1, c: 2}", ":2: b.c: is given twice; remove one of them"),
    ],
)
def test_the_words_for_a_file_that_is_odd(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "a.yml"
    path.write_text(text)
    document, (mistake,) = read(path)
    assert str(mistake) == f"{path}{expected}"
    assert document.path == path
    assert bool(document.content) is ("twice" in expected)


@pytest.mark.parametrize("text", ["", "---\n", "# a\n"])
def test_an_empty_file_sets_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yml"
    path.write_text(text)
    document, mistakes = read(path)
    assert (document.path, document.content, mistakes) == (path, {}, [])
