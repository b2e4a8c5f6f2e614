import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformctl.jobs import batch_script, kubernetes, slurm
from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.parse import parse
from platformctl.jobs.tokens import Token, parse_token

ALICE = User("alice", 10001, 10001, (20001,), "physics", "/home/alice")
TOKEN = Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1)
POD = {
    "containers": [
        {
            "name": "pi",
            "image": "perl:5.34.0",
            "command": ["perl", "-e", "print qq($(WHO)\\n)"],
            "env": [{"name": "WHO", "value": "me"}, {"name": "BOTH", "value": "$(WHO)+$(NONE)"}],
            "resources": {"limits": {"cpu": "1500m", "memory": "1Gi", "nvidia.com/gpu": 1}},
        }
    ]
}


def job(**spec: Any) -> JobSpec:
    found = parse(spec)
    assert isinstance(found, JobSpec), found
    return found


def submitted(spec: JobSpec, dialect: str = "v0.0.42", name: str = "pi") -> dict[str, Any]:
    return slurm.submission(spec, ALICE, name, TOKEN, dialect)


def test_a_script_for_slurm() -> None:
    body = submitted(job(script="#!/bin/sh\ndate\n", walltime=61, queue="main", nodes=2, tasks=6))
    assert body == {
        "job": {
            "name": "pi",
            "comment": "kf:lab:11924ac8-3932-46d6-ad0c-b5501999851a:1",
            "hold": True,
            "requeue": False,
            "current_working_directory": "/home/alice",
            "standard_output": "/home/alice/pi-%j.out",
            "environment": [
                "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
                "HOME=/home/alice",
                "USER=alice",
                "LOGNAME=alice",
                "SHELL=/bin/bash",
            ],
            "tasks": 6,
            "nodes": "2",
            "partition": "main",
            "account": "physics",
            "time_limit": {"set": True, "number": 2},
            "script": "#!/bin/sh\ndate\n",
        }
    }


def test_the_older_dialect_has_the_script_beside_the_job() -> None:
    body = submitted(job(script="#!/bin/sh\n"), "v0.0.40")
    assert body["script"] == "#!/bin/sh\n"
    assert "script" not in body["job"]


def test_a_container_for_slurm() -> None:
    description = submitted(job(template={"spec": POD}))["job"]
    assert description["cpus_per_task"] == 2
    assert description["memory_per_node"] == {"set": True, "number": 1024}
    assert description["tres_per_node"] == "gres/gpu:1"
    assert description["environment"][-2:] == ["WHO=me", "BOTH=me+$(NONE)"]
    assert description["script"] == (
        "#!/bin/bash -p\nexec /usr/local/bin/platform-run-image docker.io/library/perl:5.34.0 -- "
        "perl -e 'print qq(me\\n)'\n"
    )


def test_many_tasks_of_a_container_are_started_by_srun_with_memory_by_node() -> None:
    description = submitted(job(template={"spec": POD}, tasks=5, nodes=2))["job"]
    assert "exec srun /usr/local/bin/platform-run-image" in description["script"]
    assert description["memory_per_node"]["number"] == 3 * 1024
    assert description["tres_per_node"] == "gres/gpu:3"


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("perl", "docker.io/library/perl"),
        ("me/perl:1", "docker.io/me/perl:1"),
        ("ghcr.io/me/perl", "ghcr.io/me/perl"),
        ("localhost/perl", "localhost/perl"),
        ("host:5000/perl", "host:5000/perl"),
    ],
)
def test_image_names_are_completed_as_containerd_does(image: str, full: str) -> None:
    assert batch_script.full_image_name(image) == full


def test_a_long_name_keeps_the_output_file_within_a_file_name() -> None:
    description = submitted(job(script="#!/bin/sh\n"), name="n" * 253)["job"]
    assert len(description["standard_output"].rsplit("/", 1)[1]) < 240


_words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=40, deadline=None)
@given(st.lists(_words, min_size=1, max_size=8))
def test_nothing_in_a_command_line_is_executed(words: list[str]) -> None:
    command = [word.replace("$", "$$") for word in words]
    pod = {"containers": [{"name": "a", "image": "b", "command": command}]}
    script = batch_script.batch_script(job(template={"spec": pod}), ALICE, {})
    assert script.count("\n") == 2
    shown = script.replace("exec /usr/local/bin/platform-run-image", "printf '%s\\0'")
    read = subprocess.run(["bash", "-c", shown], capture_output=True, check=True).stdout
    assert read.decode().split("\0")[2:-1] == words


def test_a_script_for_kubernetes() -> None:
    batch = kubernetes.batch_job(job(script="#!/bin/sh\ndate\n", walltime=60), ALICE, "my.job", TOKEN)
    assert batch["metadata"]["name"] == "my-job-11924ac8-1"
    assert batch["metadata"]["annotations"] == {"kfoundry.io/token": str(TOKEN)}
    spec, pod = batch["spec"], batch["spec"]["template"]["spec"]
    assert (spec["suspend"], spec["backoffLimit"], spec["completions"]) == (True, 0, 1)
    assert pod["activeDeadlineSeconds"] == 60
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["supplementalGroups"] == [20001]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["command"] == ["/kfoundry/script"]
    config_map = kubernetes.script_config_map("#!/bin/sh\ndate\n", "my-job-11924ac8-1", "u", TOKEN)
    assert config_map["data"]["script"] == "#!/bin/sh\ndate\n"
    assert pod["volumes"][0]["configMap"]["name"] == config_map["metadata"]["name"]


def test_a_container_for_kubernetes_keeps_what_the_user_wrote() -> None:
    pod = kubernetes.batch_job(job(template={"spec": POD}), ALICE, "pi", TOKEN)["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["resources"] == {"limits": {"cpu": "1500m", "memory": "1Gi", "nvidia.com/gpu": "1"}}
    assert container["env"] == POD["containers"][0]["env"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_tasks_become_an_indexed_job() -> None:
    spec = kubernetes.batch_job(job(template={"spec": POD}, tasks=4), ALICE, "pi", TOKEN)["spec"]
    assert (spec["completions"], spec["parallelism"], spec["completionMode"]) == (4, 4, "Indexed")


@pytest.mark.parametrize("name", ["a", "x" * 253, "a.b.c", "--", "a-" * 60])
def test_the_name_of_a_batch_job_is_a_label(name: str) -> None:
    found = kubernetes.batch_name(name, TOKEN)
    assert len(found) <= 63
    assert found[0].isalnum()
    assert found.endswith("-11924ac8-1")


def test_tokens_survive_their_text_form_and_nothing_else_does() -> None:
    assert parse_token(str(TOKEN)) == TOKEN
    for other in ("", None, 7, "kf:lab:x:1", f"{TOKEN}\n", f"{TOKEN}1234567", "kf:la b:" + TOKEN.uid + ":1"):
        assert parse_token(other) is None
