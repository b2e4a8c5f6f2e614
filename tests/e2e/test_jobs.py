"""One Job API over both schedulers of an installed site, as its users see it."""

import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from platformctl.clients.slurmrestd import SlurmRestClient, TokenMinter
from platformctl.jobs.model import User
from platformctl.router.slurm.backend import SlurmBackend
from platformctl.site import secrets
from tests.contracts.slurm_backend import *  # noqa: F403
from tests.contracts.slurm_backend import SlurmWorld
from tests.e2e.conftest import Site, variables
from tests.foundry import EXAMPLE

PI = "3.14159265358979323846"
ADMIN = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
ALICE = f"{ADMIN} --as alice --as-group platform:users"
BOB = f"{ADMIN} --as bob --as-group platform:users"
LOGS = "/apis/logs.kfoundry.io/v1alpha1/namespaces/default/jobs"


class Jobs:
    """kubectl on the control plane, as alice."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.names: list[str] = []

    def create(self, *documents: dict[str, Any], who: str = ALICE) -> list[str]:
        """Create Jobs; returns their names."""
        text = base64.b64encode(yaml.safe_dump_all(documents).encode()).decode()
        out = self.site.host("ctl1", "sh", "-c", f"echo {text} | base64 -d | {who} create -f - -o name")
        names = [line.split("/")[1] for line in out.split()]
        self.names += names
        return names

    def submit(self, **spec: Any) -> str:
        """Create one Job from its spec."""
        metadata = {"generateName": "e2e-", "namespace": "default"}
        document = {"apiVersion": "kfoundry.io/v1alpha1", "kind": "Job", "metadata": metadata, "spec": spec}
        return self.create(document)[0]

    def status(self, name: str) -> dict[str, Any]:
        """The status now."""
        found = json.loads(self.site.host("ctl1", *ALICE.split(), "get", "kj", name, "-o", "json"))
        return dict(found.get("status", {}))

    def until(self, name: str, *phases: str, seconds: float = 120) -> dict[str, Any]:
        """The status once it is in one of the phases."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status(name)
            if status.get("phase") in phases:
                return status
            assert time.monotonic() < deadline, status
            time.sleep(1)

    def output(self, name: str, who: str = ALICE, code: int = 0, **query: str | int) -> str:
        """What it printed so far, through the logs API."""
        asked = "&".join(f"{key}={value}" for key, value in query.items())
        return self.site.host("ctl1", *who.split(), "get", "--raw", f"{LOGS}/{name}/log?{asked}", code=code)

    def until_printed(self, name: str, text: str, seconds: float = 60) -> None:
        """Wait until the output has the text."""
        deadline = time.monotonic() + seconds
        while text not in (printed := self.output(name)):
            assert time.monotonic() < deadline, printed
            time.sleep(0.5)

    def delete(self, *names: str) -> None:
        """Delete, and wait until they are gone."""
        self.site.host("ctl1", *ALICE.split(), "delete", "kj", "--timeout=90s", "--ignore-not-found", *names)


@pytest.fixture
def jobs(site: Site) -> Iterator[Jobs]:
    found = Jobs(site)
    yield found
    if found.names:
        found.delete(*found.names)


@pytest.fixture(params=["v0.0.42", "v0.0.41", "v0.0.40"])
async def slurm(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> AsyncIterator[SlurmWorld]:
    """The real slurmrestd of the site, through its TLS, in each dialect that it serves."""
    known = secrets.load(site.inventory)
    authority = tmp_path / "ca.crt"
    authority.write_text(known["secret_site_ca_certificate"])
    tls = ssl.create_default_context(cafile=str(authority))
    hosts = yaml.safe_load((site.inventory / "hosts.yml").read_text())
    address = f"https://{hosts['all']['hosts']['ctl1']['ansible_host']}:6820"
    account = variables(site, "users")["users_accounts"][0]
    alice = User(account["name"], account["uid"], account["uid"], (), account["slurm_account"], "/home/alice")
    minter = TokenMinter(base64.b64decode(known["secret_slurm_jwt_key"]))
    async with SlurmRestClient(address, minter, (request.param,), tls) as client:
        yield SlurmWorld(SlurmBackend(client, "contract", "slurm", 1.0), alice, "contract")


def test_the_example_of_k_foundry_runs_unchanged(jobs: Jobs) -> None:
    """No Kubernetes node of the lab has a GPU; its Slurm node declares one."""
    (name,) = jobs.create(yaml.safe_load(EXAMPLE))
    status = jobs.until(name, "Succeeded", "Failed", "Refused")
    assert (status["phase"], status["backend"], status["user"]) == ("Succeeded", "slurm", "alice"), status
    accepted = next(item for item in status["conditions"] if item["type"] == "Accepted")
    assert "nvidia.com/gpu" in accepted["message"]
    assert jobs.output(name).startswith(PI)


def test_on_kubernetes_the_example_is_refused_and_says_why(jobs: Jobs) -> None:
    document = yaml.safe_load(EXAMPLE)
    document["spec"]["target"] = "kubernetes"
    (name,) = jobs.create(document)
    assert "nvidia.com/gpu" in jobs.until(name, "Refused")["reason"]


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_what_the_largest_node_cannot_hold_is_refused(jobs: Jobs, target: str) -> None:
    """On Kubernetes the system's own pods hold a part of every node."""
    name = jobs.submit(script="#!/bin/sh\n", target=target, resources={"cpu": "4000"})
    assert "cpu 4000 (the most is" in jobs.until(name, "Refused")["reason"]
    shown = jobs.site.host("ctl1", *f"{ADMIN} get nodes -o json".split())
    worker = max(
        (node for node in json.loads(shown)["items"] if not node["spec"].get("taints")),
        key=lambda node: int(node["status"]["allocatable"]["cpu"]),
    )
    if target == "kubernetes":
        whole = worker["status"]["allocatable"]["cpu"]
        name = jobs.submit(script="#!/bin/sh\n", target=target, resources={"cpu": whole})
        assert "beside the system's own pods" in jobs.until(name, "Refused")["reason"]


def test_inside_a_pod_the_user_has_a_name(jobs: Jobs) -> None:
    """Also in an image that knows nobody of the site."""
    script = "#!/bin/bash\nwhoami; id -gn; id -Gn; eval echo ~; getent passwd nobody | cut -d: -f3\n"
    in_script = jobs.submit(script=script, target="kubernetes")
    program = 'print join " ", (getpwuid $<)[0, 7], (map { scalar getgrgid $_ } split " ", $( ), "\\n"'
    in_container = jobs.submit(template=container("perl:5.34.0", "perl", "-e", program), target="kubernetes")
    assert jobs.until(in_script, "Succeeded", "Failed")["phase"] == "Succeeded"
    name, group, groups, home, nobody = jobs.output(in_script).splitlines()
    assert (name, group, set(groups.split())) == ("alice", "alice", {"alice", "physics"})
    assert (home, nobody) == ("/home/alice", "65534")
    assert jobs.until(in_container, "Succeeded", "Failed")["phase"] == "Succeeded"
    assert set(jobs.output(in_container).split()) == {"alice", "/home/alice", "physics"}


def test_scaled_down_it_prints_the_same_on_both(jobs: Jobs) -> None:
    outputs = {}
    names = {}
    for target in ("slurm", "kubernetes"):
        document = yaml.safe_load(EXAMPLE)
        small = {"cpu": "100m", "memory": "64Mi"}
        container = document["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"limits": small, "requests": small}
        container["command"] = ["perl", "-wle", 'print "$ENV{WHO} @ARGV"']
        container["env"] = [{"name": "WHO", "value": "it's $(HOME) `id`"}]
        container["args"] = ["a b", "$(WHO)", "#SBATCH --uid=0\n"]
        document["spec"]["target"] = target
        (names[target],) = jobs.create(document)
    for target, name in names.items():
        status = jobs.until(name, "Succeeded", "Failed")
        assert (status["phase"], status["backend"]) == ("Succeeded", target), status
        outputs[target] = jobs.output(name)
    assert outputs["slurm"] == outputs["kubernetes"]
    assert "`id`" in outputs["slurm"]


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_a_script_runs_as_its_submitter_and_its_exit_code_is_told(jobs: Jobs, target: str) -> None:
    name = jobs.submit(script="#!/bin/bash\nid -u; id -G; pwd\nexit 3\n", target=target)
    status = jobs.until(name, "Succeeded", "Failed")
    assert (status["phase"], status["exitCode"], status["backend"]) == ("Failed", 3, target), status
    uid, groups, folder = jobs.output(name).splitlines()
    assert uid == "10001"
    assert set(groups.split()) == {"10001", "20001"}
    assert folder == "/home/alice"


def container(image: str, *command: str) -> dict[str, Any]:
    """A pod template with one container."""
    words = {"name": "tool", "image": image, "command": list(command)}
    return {"spec": {"restartPolicy": "Never", "containers": [words]}}


def test_a_container_on_slurm_is_the_submitter_in_the_images_folder(jobs: Jobs) -> None:
    """Whatever container runtime the site has chosen."""
    program = 'open F, ">made"; print F "hello"; exec "sh", "-c", "id -u; pwd; cat made; rm made; exit 4"'
    name = jobs.submit(template=container("perl:5.34.0", "perl", "-e", program), target="slurm")
    status = jobs.until(name, "Succeeded", "Failed")
    assert (status["phase"], status["exitCode"]) == ("Failed", 4), status
    assert jobs.output(name) == "10001\n/\nhello"


def test_an_image_that_is_missing_on_slurm_is_named_in_the_output(jobs: Jobs) -> None:
    name = jobs.submit(template=container("nothing:1", "true"), target="slurm")
    status = jobs.until(name, "Succeeded", "Failed")
    assert (status["phase"], status["exitCode"]) == ("Failed", 125), status
    assert "image" in status["reason"]
    assert "nothing:1: there is no such image in the registry" in jobs.output(name)


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_deleting_a_running_job_ends_it(jobs: Jobs, target: str) -> None:
    name = jobs.submit(script="#!/bin/sh\nsleep 600\n", target=target)
    status = jobs.until(name, "Running")
    jobs.delete(name)
    if target == "slurm":
        queue = jobs.site.host("ctl1", "squeue", "--noheader", "--jobs", status["backendId"], "--format=%T")
        assert queue.strip() in ("", "COMPLETING")
    else:
        _, batch = status["backendId"].split("/")
        assert jobs.site.kubectl("get", "job", "--ignore-not-found", batch) == ""


def test_a_person_of_another_site_is_refused(jobs: Jobs) -> None:
    document = {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "e2e-", "annotations": {"kfoundry.io/submitter": "alice"}},
        "spec": {"script": "#!/bin/sh\nid\n"},
    }
    with pytest.raises(AssertionError, match='User "mallory" cannot create resource "jobs"'):
        jobs.create(document, who=f"{ADMIN} --as mallory --as-group platform:users")
    # Somebody whom a site lets create Jobs otherwise is refused by the router.
    (name,) = jobs.create(document, who=f"{ADMIN} --as mallory --as-group system:masters")
    status = jobs.until(name, "Refused")
    assert "'mallory' is no user of this site" in status["reason"]
    jobs.site.kubectl("delete", "kj", name)
    jobs.names.remove(name)


def test_while_slurmctld_is_away_jobs_wait_with_the_reason(jobs: Jobs) -> None:
    jobs.site.host("ctl1", "systemctl", "stop", "slurmctld")
    try:
        name = jobs.submit(script="#!/bin/sh\necho late\n", target="slurm")
        deadline = time.monotonic() + 90
        while "does not answer" not in (status := jobs.until(name, "Pending")).get("reason", ""):
            assert time.monotonic() < deadline, status
            time.sleep(1)
    finally:
        jobs.site.host("ctl1", "systemctl", "start", "slurmctld")
    jobs.until(name, "Succeeded", "Failed")
    assert jobs.output(name) == "late\n"


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_the_output_is_shown_while_it_runs_and_after(jobs: Jobs, target: str) -> None:
    """The script waits for a file in its home, which is the same on both sides."""
    signal = f"e2e-go-{time.time_ns()}"
    script = f"#!/bin/sh\ncd\necho first\nuntil rm {signal} 2>/dev/null; do sleep 0.2; done\necho last\n"
    name = jobs.submit(script=script, target=target)
    jobs.until_printed(name, "first\n")
    assert jobs.status(name)["phase"] in ("Queued", "Running")
    jobs.site.shell("ctl1", f"touch {signal}", user="alice")
    assert jobs.output(name, follow="true") == "first\nlast\n"
    jobs.until(name, "Succeeded")
    assert jobs.output(name, offset=6) == "last\n"
    assert jobs.output(name, tailBytes=3) == "st\n"


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_each_element_of_an_array_has_its_index_its_exit_code_and_its_output(jobs: Jobs, target: str) -> None:
    script = "#!/bin/sh\necho element $KFOUNDRY_INDEX\nexit $KFOUNDRY_INDEX\n"
    name = jobs.submit(script=script, target=target, array="0-3%2")
    status = jobs.until(name, "Failed", "Succeeded")
    assert status["phase"] == "Failed", status
    assert (status["tasks"]["succeeded"], status["tasks"]["failed"]) == (1, 3)
    assert status["exitCodes"] == [{"index": index, "code": index} for index in (1, 2, 3)]
    for index in (0, 3):
        assert jobs.output(name, index=index) == f"element {index}\n"


def test_an_array_of_ten_thousand_is_taken_and_cancelled_at_once(jobs: Jobs) -> None:
    name = jobs.submit(script="#!/bin/sh\nsleep 600\n", target="slurm", array="0-9999%1")
    status = jobs.until(name, "Running")
    assert status["tasks"]["waiting"] + status["tasks"]["running"] == 10000, status
    jobs.delete(name)


def test_a_job_waits_for_one_on_the_other_scheduler(jobs: Jobs) -> None:
    first = jobs.submit(script="#!/bin/sh\nsleep 3\n", target="slurm")
    then = jobs.submit(script="#!/bin/sh\n", target="kubernetes", dependsOn=[{"name": first}])
    never = jobs.submit(script="#!/bin/sh\n", target="slurm", dependsOn=[{"name": first, "when": "failed"}])
    waiting = jobs.until(then, "Pending")
    assert first in waiting["reason"]
    assert jobs.until(then, "Succeeded", "Failed")["phase"] == "Succeeded"
    assert jobs.status(then)["startTime"] >= jobs.status(first)["completionTime"]
    ended = jobs.until(never, "Refused", "Cancelled", "Failed")
    assert first in ended["reason"]


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_another_user_neither_reads_nor_cancels_nor_deletes(jobs: Jobs, target: str) -> None:
    name = jobs.submit(script="#!/bin/sh\necho secret\nsleep 600\n", target=target)
    jobs.until_printed(name, "secret")
    bob = BOB.split()
    assert "secret" not in jobs.output(name, who=BOB, code=1)
    cancel = "kfoundry.io/cancel-requested=true"
    jobs.site.host("ctl1", *bob, "annotate", "kj", name, cancel, code=1)
    jobs.site.host("ctl1", *bob, "delete", "kj", name, "--wait=false", code=1)
    jobs.site.host("ctl1", *bob, "auth", "can-i", "get", "pods", "--subresource=log", code=1)
    assert jobs.status(name)["phase"] == "Running"
    jobs.site.host("ctl1", *ALICE.split(), "annotate", "kj", name, cancel)
    assert jobs.until(name, "Cancelled", "Failed", "Succeeded")["phase"] == "Cancelled"


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_an_interactive_job_is_entered_by_the_command_in_its_status_and_ends_when_told(
    jobs: Jobs, target: str
) -> None:
    name = jobs.submit(interactive=True, walltime="10m", target=target)
    status = jobs.until(name, "Running")
    command = status["reason"].removeprefix("enter it with: ")
    if target == "kubernetes":
        command = command.replace("kubectl exec -it", f"{ALICE} exec -i")
        output = jobs.site.shell("ctl1", f"echo 'id -u; pwd' | {command}")
    else:
        command = command.replace("--pty ", "")
        output = jobs.site.shell("ctl1", f"echo 'id -u; pwd' | {command}", user="alice")
    assert output.split() == ["10001", "/home/alice"]
    started = time.monotonic()
    jobs.delete(name)
    assert time.monotonic() - started < 20


def test_nobody_enters_a_pod_but_the_one_of_their_own_interactive_job(jobs: Jobs) -> None:
    interactive = jobs.submit(interactive=True, walltime="10m", target="kubernetes")
    plain = jobs.submit(script="#!/bin/sh\nsleep 600\n", target="kubernetes")
    places = [jobs.until(name, "Running")["backendId"].split("/")[1] for name in (interactive, plain)]
    for place, who, code in ((places[0], ALICE, 0), (places[0], BOB, 1), (places[1], ALICE, 1)):
        jobs.site.host("ctl1", *who.split(), "exec", f"job/{place}", "--", "true", code=code)


def staged(folder: str, program: str, **spec: Any) -> dict[str, Any]:
    """A container in a home from whose folder a file is copied in, and to which one is copied back."""
    container = {"name": "a", "image": "perl:5.34.0", "command": ["perl", "-e", f"chdir; {program}"]}
    return {
        "target": "kubernetes",
        "template": {"spec": {"containers": [container], "restartPolicy": "Never"}},
        "stageIn": [{"source": f"{folder}/in", "target": f"{folder}/work"}],
        "stageOut": [{"source": f"{folder}/out", "target": f"{folder}/kept"}],
        **spec,
    }


def test_what_a_container_needs_and_makes_is_copied_on_kubernetes(jobs: Jobs) -> None:
    folder = f"e2e-stage-{time.time_ns()}"
    jobs.site.shell("ctl1", f"mkdir {folder}; echo data > {folder}/in", user="alice")
    work = f"rename '{folder}/work', '{folder}/out' or die;"
    names = {
        "well": jobs.submit(**staged(folder, work)),
        "nothing": jobs.submit(**staged(f"{folder}-none", "1")),
    }
    status = jobs.until(names["well"], "Succeeded", "Failed")
    assert status["phase"] == "Succeeded", status
    assert jobs.site.shell("ctl1", f"cat {folder}/kept; rm {folder}/kept", user="alice") == "data\n"
    status = jobs.until(names["nothing"], "Succeeded", "Failed")
    assert (status["phase"], status["exitCode"]) == ("Failed", 74), status
    assert f"{folder}-none/in" in status["reason"]
    failing = jobs.submit(**staged(folder, f"{work} exit 3"))
    status = jobs.until(failing, "Succeeded", "Failed")
    assert (status["phase"], status["exitCode"]) == ("Failed", 3), status
    assert jobs.site.shell("ctl1", f"cat {folder}/kept", user="alice") == "data\n"
    empty = jobs.submit(**staged(folder, f"unlink '{folder}/out'"))
    status = jobs.until(empty, "Succeeded", "Failed")
    jobs.site.shell("ctl1", f"rm -r {folder}", user="alice")
    assert (status["phase"], status["exitCode"]) == ("Failed", 74), status
    assert f"cannot copy /home/alice/{folder}/out" in status["reason"]


def test_an_image_that_does_not_exist_is_named_and_the_job_ends_with_its_wall_time(jobs: Jobs) -> None:
    container = {"name": "a", "image": "docker.io/library/nosuch:1"}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    name = jobs.submit(template=template, target="kubernetes", walltime="30s")
    deadline = time.monotonic() + 60
    while "the image docker.io/library/nosuch:1" not in (status := jobs.status(name)).get("reason", ""):
        assert time.monotonic() < deadline, status
        time.sleep(0.5)
    ended = jobs.until(name, "Failed", "Succeeded", seconds=90)
    assert ended["phase"] == "Failed"
    assert "the image docker.io/library/nosuch:1" in ended["reason"]


@pytest.mark.parametrize("target", ["slurm", "kubernetes"])
def test_why_a_job_waits_is_explained_by_its_scheduler(jobs: Jobs, target: str) -> None:
    """The Slurm node has one GPU, which the first Job takes; Kubernetes has to pull an image first."""
    spec: dict[str, Any] = {"target": target}
    if target == "slurm":
        spec |= {"script": "#!/bin/sh\nsleep 600\n", "resources": {"nvidia.com/gpu": "1"}}
        jobs.until(jobs.submit(**spec), "Running")
    else:
        spec["template"] = container("docker.io/library/nosuch:1", "true")
    name = jobs.submit(**spec)
    jobs.until(name, "Queued")
    asked = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    wish = f"kfoundry.io/explain-requested={asked}"
    jobs.site.host("ctl1", *ALICE.split(), "annotate", "kj", name, wish)
    deadline = time.monotonic() + 30
    while (found := jobs.status(name).get("explanation", {})).get("requested") != asked:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    words = {"slurm": "Slurm", "kubernetes": "Kubernetes"}[target]
    assert any(words in line for line in found["sentences"]), found


def test_homes_are_the_users_own_on_kubernetes(jobs: Jobs) -> None:
    script = "#!/bin/sh\ncd\nid -u > e2e-home\nstat -c %u e2e-home\nls /home\n"
    name = jobs.submit(script=script, target="kubernetes")
    assert jobs.until(name, "Succeeded", "Failed")["phase"] == "Succeeded"
    assert jobs.output(name) == "10001\nalice\n"
    assert jobs.site.shell("ctl1", "cat e2e-home; rm e2e-home", user="alice") == "10001\n"


def test_a_killed_router_loses_and_doubles_nothing(jobs: Jobs) -> None:
    """Each job writes one line into its own file; the router's pod is killed while they are submitted."""
    count = 24
    folder = f"e2e-once-{time.time_ns()}"
    jobs.site.shell("ctl1", f"mkdir {folder}", user="alice")
    script = f"#!/bin/sh\necho $SLURM_JOB_ID >> {folder}/$SLURM_JOB_NAME\n"
    documents: list[dict[str, Any]] = [
        {
            "apiVersion": "kfoundry.io/v1alpha1",
            "kind": "Job",
            "metadata": {"name": f"{folder}-{number}", "namespace": "default"},
            "spec": {"script": script, "target": "slurm"},
        }
        for number in range(count)
    ]
    kill = ["-n", "platform-system", "delete", "pod", "-l", "app.kubernetes.io/name=job-router"]
    for part in range(0, count, 8):
        jobs.create(*documents[part : part + 8])
        jobs.site.kubectl(*kill, "--grace-period=0", "--force", "--wait=false")
    for document in documents:
        assert jobs.until(document["metadata"]["name"], "Succeeded", "Failed")["phase"] == "Succeeded"
    lines = jobs.site.shell("ctl1", f"cat {folder}/* | wc -l; ls {folder} | wc -l", user="alice").split()
    jobs.site.shell("ctl1", f"rm -r {folder}", user="alice")
    assert lines == [str(count), str(count)]
