from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from platformctl.clients.kubernetes import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    Connection,
    KubernetesClient,
    NotFoundError,
    UnavailableError,
    from_kubeconfig,
    in_cluster,
)


def write(path: Path, **user: Any) -> Path:
    cluster = {"server": "http://127.0.0.1:1/", "tls-server-name": "api.lab.example"}
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [{"name": "other", "cluster": {}}, {"name": "k", "cluster": cluster}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return path


def test_the_current_context_counts(tmp_path: Path) -> None:
    found = from_kubeconfig(write(tmp_path / "config", token="t"))
    assert (found.server, found.token, found.server_name) == ("http://127.0.0.1:1", "t", "api.lab.example")
    assert found.headers() == {"Authorization": "Bearer t"}


def test_a_kubeconfig_without_a_server_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("clusters: []\n")
    with pytest.raises(ValueError, match="current context"):
        from_kubeconfig(tmp_path / "config")


def test_a_rotated_token_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    connection = Connection("http://x", token_file=tmp_path / "token")
    assert connection.headers() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two\n")
    assert connection.headers() == {"Authorization": "Bearer two"}


def test_a_pod_knows_its_cluster(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        in_cluster("::1", "443", tmp_path)


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (404, "get", NotFoundError),
        (409, "merge", ConflictError),
        (409, "create", AlreadyExistsError),
        (403, "get", ApiError),
        (429, "get", UnavailableError),
        (503, "get", UnavailableError),
    ],
)
async def test_errors_are_typed(status: int, method: str, expected: type[ApiError]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"reason": "R", "message": "in words"}, status=status)

    app = web.Application()
    app.router.add_route("*", "/x", answer)
    server = TestServer(app)
    await server.start_server()
    async with KubernetesClient(Connection(str(server.make_url("")).rstrip("/"))) as client:
        call = client.get("/x") if method == "get" else getattr(client, method)("/x", {})
        with pytest.raises(ApiError, match="in words") as caught:
            await call
    await server.close()
    assert type(caught.value) is expected
    assert caught.value.code == status


async def test_nobody_there_is_unavailable() -> None:
    async with KubernetesClient(Connection("http://127.0.0.1:9")) as client:
        with pytest.raises(UnavailableError):
            await client.get("/x")
