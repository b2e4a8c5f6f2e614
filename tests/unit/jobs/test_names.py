"""Who a user is inside of a pod: the files, where they come from, and where they go."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from platformctl.jobs import kubernetes, names
from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from platformctl.router.config import RouterConfig

ALICE = User("alice", 10001, 10001, (20001, 20002), "physics", "/home/alice", group_names={20001: "physics"})
TOKEN = Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1)
MOUNTED = [
    {"name": "kfoundry-names", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
    {"name": "kfoundry-names", "mountPath": "/etc/group", "subPath": "group", "readOnly": True},
]


def template(**spec: Any) -> dict[str, Any]:
    """The pod template of a Job of alice's."""
    job = parse(spec)
    assert isinstance(job, JobSpec), job
    found: dict[str, Any] = kubernetes.batch_job(job, ALICE, "pi", TOKEN)["spec"]["template"]
    return found


def container(**fields: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "a", "image": "b", **fields}], "volumes": [{"name": "v", "emptyDir": {}}]}
    return {"template": {"spec": pod}}


def entries(text: str) -> Mapping[str, list[str]]:
    """Lines by their first field, of which each is there once."""
    lines = [line.split(":") for line in text.splitlines()]
    assert text.endswith("\n")
    assert len({line[0] for line in lines}) == len(lines)
    return {line[0]: line[1:] for line in lines}


def test_the_user_root_and_nobody_have_names() -> None:
    found = entries(names.passwd(ALICE))
    assert list(found) == ["root", "nobody", "alice"]
    assert found["alice"] == ["x", "10001", "10001", "alice", "/home/alice", "/bin/sh"]
    assert {len(fields) for fields in found.values()} == {6}


def test_groups_have_the_sites_names_and_the_user_as_member() -> None:
    found = entries(names.group(ALICE))
    assert found["alice"] == ["x", "10001", ""]
    assert found["physics"] == ["x", "20001", "alice"]
    # The site does not tell the name of this one.
    assert found["group20002"] == ["x", "20002", "alice"]
    assert {"root", "nogroup"} < set(found)
    # A user's own group may be one of the site's, and be named twice.
    shared = replace(ALICE, gid=20001, groups=(20001, 20002, 20002))
    assert list(entries(names.group(shared))) == ["root", "nogroup", "physics", "group20002"]


@pytest.mark.parametrize("spec", [{"script": "#!/bin/sh\n"}, container()], ids=["script", "container"])
def test_the_files_come_with_the_pod_over_those_of_any_image(spec: dict[str, Any]) -> None:
    found = template(**spec)
    annotations = found["metadata"]["annotations"]
    (volume,) = [item for item in found["spec"]["volumes"] if item["name"] == "kfoundry-names"]
    texts = {
        item["path"]: annotations[item["fieldRef"]["fieldPath"].split("'")[1]]
        for item in volume["downwardAPI"]["items"]
    }
    assert texts == {"passwd": names.passwd(ALICE), "group": names.group(ALICE)}
    mounts = found["spec"]["containers"][0]["volumeMounts"]
    assert [mount for mount in mounts if mount["name"] == "kfoundry-names"] == MOUNTED


def test_a_volume_of_the_users_own_stays_where_it_is() -> None:
    mine = {"name": "v", "mountPath": "/etc/passwd/"}
    mounts = template(**container(volumeMounts=[mine]))["spec"]["containers"][0]["volumeMounts"]
    assert [mount for mount in mounts if mount["mountPath"].rstrip("/") == "/etc/passwd"] == [mine]
    assert MOUNTED[1] in mounts


def test_the_router_knows_the_names_of_groups() -> None:
    user = {"name": "alice", "uid": 10001, "gid": 10001, "groups": [20001, 20002], "home": "/home/alice"}
    groups = [{"name": "physics", "gid": 20001}, {"name": "others", "gid": 30000}]
    config = RouterConfig.model_validate({"site": "lab", "users": [user], "groups": groups})
    assert config.by_name()["alice"].group_names == {20001: "physics"}
    for change in ({"name": "a:b"}, {"home": "/home/a\nroot::0:0::/:/bin/sh"}):
        with pytest.raises(ValidationError):
            RouterConfig.model_validate({"site": "lab", "users": [{**user, **change}]})
