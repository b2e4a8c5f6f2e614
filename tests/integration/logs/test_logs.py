"""What users get from the logs API, through the API server."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import aiohttp
import pytest

from platformctl.vocabulary import job_path
from tests.integration.control_plane import ADMIN, ControlPlane, most_memory
from tests.integration.logs.conftest import PAGE
from tests.integration.logs.world import IDS, World
from tests.programs import program


async def test_the_output_of_slurm_is_read_as_the_user(world: World) -> None:
    file = world.home.write("alice", "out-1.txt", "hello\n")
    name = await world.on_slurm(file)
    answer = await world.log(name)
    assert (answer.status, answer.text) == (200, "hello\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (answer.headers["Kfoundry-Next-Offset"], answer.headers["Kfoundry-Complete"]) == ("6", "false")
    await world.set(name, phase="Succeeded")
    assert (await world.log(name)).headers["Kfoundry-Complete"] == "true"
    assert (await world.log(name, offset=2)).text == "llo\n"
    assert (await world.log(name, tailBytes=3)).text == "lo\n"
    assert file.stat().st_uid == IDS["alice"]


async def test_a_long_output_comes_in_pages(world: World) -> None:
    text = "".join(f"line {number}\n" for number in range(2000))
    name = await world.on_slurm(world.home.write("alice", "long.txt", text), "Succeeded")
    found, pages = "", 0
    while True:
        answer = await world.log(name, offset=len(found))
        assert len(answer.text) <= PAGE
        found, pages = found + answer.text, pages + 1
        if answer.headers["Kfoundry-Complete"] == "true":
            break
    assert found == text
    assert pages == -(-len(text) // PAGE)


async def test_following_ends_with_the_job_and_misses_nothing(world: World) -> None:
    name = await world.job({"phase": "Pending"})
    async with world.follow(name) as response:
        file = world.home.folder / "alice" / "followed.txt"
        await world.set(name, phase="Queued", backend="slurm", backendId="9", attempt=1, output=str(file))
        for number in range(5):
            world.home.write("alice", "followed.txt", f"{number}\n")
            assert await asyncio.wait_for(response.content.readline(), 30) == f"{number}\n".encode()
        await world.set(name, phase="Running")
        world.home.write("alice", "followed.txt", "last\n")
        await world.set(name, phase="Succeeded")
        assert await response.text() == "last\n"


async def test_a_follower_who_has_enough_is_told_to_come_again(world: World) -> None:
    name = await world.on_slurm(world.home.write("alice", "huge.txt", "x" * 200_000))
    async with world.follow(name) as response:
        assert len(await response.read()) == 65536


async def test_the_log_of_a_pod_is_relayed(world: World) -> None:
    name = await world.on_kubernetes(b"one\ntwo\n")
    assert (await world.log(name)).text == "one\ntwo\n"
    assert (await world.log(name, offset=4)).text == "two\n"
    assert (await world.log(name, tailBytes=2)).text == "o\n"


async def test_a_pod_is_followed_to_its_end(world: World) -> None:
    name = await world.job({"phase": "Running", "backend": "kubernetes", "attempt": 1})
    async with asyncio.TaskGroup() as group:
        followed = group.create_task(_followed(world, name))
        await world.set(name, backendId=f"default/{name}-batch")
        pod = await world.pod(name, b"one\n")
        world.kubelet.logs[pod] += b"two\n"
        await world.end(name, pod)
    assert followed.result() == "one\ntwo\n"


async def _followed(world: World, name: str) -> str:
    async with world.follow(name) as response:
        return await response.text()


async def test_each_element_has_its_own_output(world: World) -> None:
    name = await world.on_kubernetes(b"zero\n", index=0)
    await world.pod(name, b"five\n", index=5)
    assert (await world.log(name)).text == "zero\n"
    assert (await world.log(name, index=5)).text == "five\n"
    for index in (3, 4):
        world.home.write("alice", f"a-77_{index}.out", f"element {index}\n")
    pattern = world.home.folder / "alice" / "a-%A_%a.out"
    array = await world.job(
        {"phase": "Succeeded", "backend": "slurm", "backendId": "77", "attempt": 1, "output": str(pattern)},
        array="3,4",
    )
    assert (await world.log(array, index=4)).text == "element 4\n"
    assert (await world.log(array)).text == "element 3\n"


async def test_an_index_that_is_not_there_is_answered_with_those_that_are(world: World) -> None:
    array = await world.on_kubernetes(b"zero\n", index=0)
    one = await world.on_kubernetes(b"one\n")
    for name, index, words in (
        (array, 10, "the Job has no index 10; its indices are 0-9"),
        (one, 1, "the Job has one output, without an index"),
    ):
        found = await world.log(name, index=index)
        assert (found.status, json.loads(found.text)["message"]) == (404, words)


async def test_an_earlier_attempt_is_still_there(world: World) -> None:
    first = world.home.write("alice", "first.txt", "first\n")
    second = world.home.write("alice", "second.txt", "second\n")
    record = {"attempt": 1, "backend": "slurm", "backendId": "1", "phase": "Failed", "output": str(first)}
    name = await world.on_slurm(second, "Running", attempt=2, attempts=[record])
    assert (await world.log(name)).text == "second\n"
    assert (await world.log(name, attempt=1)).text == "first\n"
    missing = await world.log(name, attempt=3)
    assert (missing.status, "no attempt 3" in missing.text) == (404, True)


async def test_only_the_submitter_and_who_may_read_pods_logs(world: World) -> None:
    name = await world.on_slurm(world.home.write("alice", "mine.txt", "mine\n"), "Succeeded")
    refused = await world.log(name, who="bob")
    assert refused.status == 403
    assert json.loads(refused.text)["message"] == "only the submitter of a Job may read its output"
    assert (await world.log(name, who=ADMIN)).text == "mine\n"
    # Without a grant in the namespace the API server itself refuses.
    assert (await world.log(name, who="operator")).status == 403


@pytest.mark.parametrize(
    "trick",
    ["link", "linked folder", "dots", "outside", "another's", "pipe", "folder", "device"],
)
async def test_tricks_with_paths_show_nothing(world: World, trick: str) -> None:
    alice, secret = world.home.folder / "alice", world.home.write("bob", "secret.txt", "SECRET\n", 0o644)
    place = alice / trick.replace(" ", "-").replace("'", "")
    match trick:
        case "link":
            place.symlink_to("/etc/passwd")
        case "linked folder":
            place.symlink_to("/etc")
            place /= "passwd"
        case "dots":
            place = Path(f"{alice}/../../../etc/passwd")
        case "outside":
            place = Path("/etc/passwd")
        case "another's":
            place = secret
        case "pipe":
            os.mkfifo(place)
            os.chown(place, IDS["alice"], IDS["alice"])
        case "folder":
            place.mkdir()
        case "device":
            place = Path("/dev/zero")
    answer = await world.log(await world.on_slurm(place, "Succeeded"))
    assert answer.status == 403, answer.text
    assert "root:" not in answer.text
    assert "SECRET" not in answer.text


async def test_a_file_of_root_in_the_users_home_is_not_readable(world: World) -> None:
    file = world.home.folder / "alice" / "roots.txt"
    file.write_text("SECRET\n")
    file.chmod(0o600)
    answer = await world.log(await world.on_slurm(file, "Succeeded"))
    assert (answer.status, "SECRET" in answer.text) == (403, False)


async def test_what_cannot_be_shown_says_why(world: World) -> None:
    gone = await world.log(await world.on_slurm(world.home.folder / "alice/gone.txt", "Succeeded"))
    assert (gone.status, "there is no file" in gone.text) == (404, True)
    never = await world.log(await world.job({"phase": "Refused", "reason": "no GPU anywhere"}))
    assert (never.status, "no GPU anywhere" in never.text) == (404, True)
    assert (await world.log("no-such-job")).status == 404
    waiting = await world.log(await world.job({"phase": "Pending"}))
    assert (waiting.status, waiting.text, waiting.headers["Kfoundry-Complete"]) == (200, "", "false")


@pytest.mark.parametrize(
    "query",
    [
        {"offset": "-1"},
        {"offset": "9" * 20},
        {"tailBytes": "x"},
        {"index": "1e3"},
        {"attempt": "²"},
        {"follow": "yes"},
        {"offset": "1", "tailBytes": "1"},
    ],
)
async def test_parameters_are_checked(world: World, query: dict[str, str]) -> None:
    name = await world.on_slurm(world.home.write("alice", "p.txt", "x"), "Succeeded")
    assert (await world.log(name, **query)).status == 400


async def test_a_user_reads_so_many_outputs_at_once(world: World) -> None:
    name = await world.on_slurm(world.home.write("alice", "busy.txt", "x"))
    async with asyncio.TaskGroup() as group, asyncio.timeout(30):
        streams = [world.follow(name) for _ in range(4)]
        for stream in streams:
            response = await stream.__aenter__()
            await response.content.readany()
        busy = await world.log(name)
        assert busy.status == 429
        for stream in streams:
            await stream.__aexit__(None, None, None)
        group.create_task(_until_free(world, name))


async def _until_free(world: World, name: str) -> None:
    """The server notices a moment later that a reader has gone."""
    for _ in range(200):
        if (await world.log(name)).status == 200:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the readers were never forgotten")


async def test_memory_is_bounded_however_large_jobs_are_and_however_many_ask(world: World) -> None:
    """Requests that the limit by user refuses have read the Job too."""
    file = world.home.write("alice", "large.out", "x")
    status = {"phase": "Running", "backend": "slurm", "backendId": "7", "attempt": 1, "output": str(file)}
    script = "#!/bin/sh\n" + "# \u00e9\n" * (512 * 2**10 // 5 - 10)
    names = [await world.job(status, script=script) for _ in range(4)]
    answers = await asyncio.gather(*(world.log(name) for name in names * 50))
    assert {answer.status for answer in answers} <= {200, 429}
    assert 200 in {answer.status for answer in answers}
    most = most_memory(int((world.plane.folder / "logs.pid").read_text()))
    assert most < 512 * 2 / 3, f"{most:.0f} MB"


async def test_nobody_speaks_for_others_but_the_api_server(world: World) -> None:
    name = await world.on_slurm(world.home.write("alice", "direct.txt", "x"), "Succeeded")
    where = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.logs.kfoundry.io"
    port = (await world.clients["root"].get(where))["spec"]["service"]["port"]
    url = f"https://localhost:{port}/apis/logs.kfoundry.io/v1alpha1/namespaces/default/jobs/{name}/log"
    headers = {"X-Remote-User": "alice", "X-Remote-Group": "system:masters"}
    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers=headers, ssl=False) as response:
            assert response.status == 401
        async with session.get(f"https://localhost:{port}/readyz", ssl=False) as response:
            assert response.status == 200


def kubectl(plane: ControlPlane, user: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(program("kubectl")), "--kubeconfig", str(plane.kubeconfig(user)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_kubectl_and_discovery_stay_whole(world: World) -> None:
    name = await world.on_slurm(world.home.write("alice", "kubectl.txt", "by kubectl\n"), "Succeeded")
    raw = f"/apis/logs.kfoundry.io/v1alpha1/namespaces/default/jobs/{name}/log"
    shown = await asyncio.to_thread(kubectl, world.plane, "alice", "get", "--raw", raw)
    assert shown.stdout == "by kubectl\n", shown.stderr
    refused = await asyncio.to_thread(kubectl, world.plane, "bob", "get", "--raw", raw)
    assert "only the submitter of a Job may read its output" in refused.stderr
    resources = await asyncio.to_thread(kubectl, world.plane, ADMIN, "api-resources", "--cached=false")
    assert (resources.returncode, resources.stderr) == (0, "")
    jobs = await asyncio.to_thread(
        kubectl, world.plane, "alice", "get", "jobs.kfoundry.io", name, "-o", "name"
    )
    assert jobs.stdout.strip() == f"job.kfoundry.io/{name}"
    found = await world.clients["root"].get("/apis/logs.kfoundry.io")
    assert [version["version"] for version in found["versions"]] == ["v1alpha1"]
    service = await world.clients["root"].get(
        "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.logs.kfoundry.io"
    )
    assert {item["type"]: item["status"] for item in service["status"]["conditions"]} == {"Available": "True"}
    assert job_path("default", name)
