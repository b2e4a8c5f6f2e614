"""What the router reads of ConfigMaps and Secrets for a job on Slurm, and what it says when it cannot."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from platformctl.clients.kubernetes import ApiError, NotFoundError, UnavailableError
from platformctl.jobs.contents import MAX_CONTENT, UnusableError
from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token
from platformctl.router.backend import Claim, Denied, Ticket, Unavailable
from platformctl.router.slurm.contents import nothing, reading

ALICE = User("alice", 10001, 10001, (), "physics", "/home/alice")
CLAIM = Claim(Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1), "team", "x", "alice")


class Api:
    """An API server with some objects by their path below the namespace's; error: what it answers instead."""

    def __init__(self, error: Exception | None = None, **objects: Mapping[str, Any]) -> None:
        self.objects = {name.replace("_", "/"): found for name, found in objects.items()}
        self.error = error
        self.asked: list[str] = []

    async def get(self, path: str) -> Mapping[str, Any]:
        self.asked.append(path)
        if self.error:
            raise self.error
        below = path.removeprefix("/api/v1/namespaces/team/")
        if below not in self.objects:
            raise NotFoundError(404, "NotFound", f"{below} not found")
        return self.objects[below]


def ticket(*env: Mapping[str, Any], volumes: tuple[Mapping[str, Any], ...] = ()) -> Ticket:
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    container = {"name": "c", "image": "i", "env": list(env), "volumeMounts": mounts}
    spec = {"template": {"spec": {"containers": [container], "volumes": list(volumes)}}}
    job = parse(spec)
    assert isinstance(job, JobSpec), job
    return Ticket(CLAIM, job, ALICE)


def variable(title: str, kind: str, /, **reference: Any) -> dict[str, Any]:
    return {"name": title, "valueFrom": {kind: reference}}


async def read(api: Api, asked: Ticket) -> Mapping[tuple[str, str], Mapping[str, bytes]]:
    return await reading(api)(asked)  # type: ignore[arg-type]


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def test_each_object_is_read_once_in_the_jobs_namespace() -> None:
    api = Api(
        configmaps_m={"data": {"k": "ü"}, "binaryData": {"b": encoded(b"\xff\0")}},
        secrets_s={"data": {"k": encoded(b"hidden")}},
    )
    found = await read(
        api,
        ticket(
            variable("A", "configMapKeyRef", name="m", key="k"),
            variable("B", "secretKeyRef", name="s", key="k"),
            volumes=({"name": "v", "secret": {"secretName": "s"}}, {"name": "w", "configMap": {"name": "m"}}),
        ),
    )
    assert found == {
        ("ConfigMap", "m"): {"k": "ü".encode(), "b": b"\xff\0"},
        ("Secret", "s"): {"k": b"hidden"},
    }
    assert sorted(api.asked) == [
        "/api/v1/namespaces/team/configmaps/m",
        "/api/v1/namespaces/team/secrets/s",
    ]


async def test_a_job_waits_for_an_object_unless_all_that_name_it_can_do_without() -> None:
    optional = variable("A", "secretKeyRef", name="s", key="k", optional=True)
    assert await read(Api(), ticket(optional)) == {}
    needed = {"name": "v", "secret": {"secretName": "s"}}
    with pytest.raises(Denied, match="waits for the Secret s, which does not exist"):
        await read(Api(), ticket(optional, volumes=(needed,)))


@pytest.mark.parametrize(
    "error", [UnavailableError(0, "Timeout", "no answer"), ApiError(403, "Forbidden", "may not read it")]
)
async def test_what_the_api_server_refuses_is_tried_again(error: ApiError) -> None:
    with pytest.raises(Unavailable, match=f"does not show the ConfigMap m: {error.message}"):
        await read(Api(error), ticket(variable("A", "configMapKeyRef", name="m", key="k")))


async def test_more_than_a_job_can_carry_is_refused_with_a_remedy() -> None:
    asked = ticket(
        variable("A", "configMapKeyRef", name="m", key="k"), variable("B", "secretKeyRef", name="s", key="k")
    )
    half = MAX_CONTENT // 2
    exact = Api(configmaps_m={"data": {"k": "x" * half}}, secrets_s={"data": {"k": encoded(b"x" * half)}})
    assert len(await read(exact, asked)) == 2
    over = Api(
        configmaps_m={"data": {"k": "x" * half}}, secrets_s={"data": {"k": encoded(b"x" * (half + 1))}}
    )
    with pytest.raises(UnusableError, match=r"more than 512 KiB together.*target: kubernetes"):
        await read(over, asked)


async def test_an_empty_object_and_a_job_without_objects() -> None:
    assert await read(Api(secrets_s={}), ticket(variable("A", "secretKeyRef", name="s", key="k"))) == {
        ("Secret", "s"): {}
    }
    api = Api()
    assert await read(api, ticket({"name": "A", "value": "b"})) == {}
    assert api.asked == []
    assert await nothing(ticket()) == {}
