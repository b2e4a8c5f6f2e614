import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformctl.jobs import batch_script, kubernetes, kubernetes_rules, slurm, slurm_container
from platformctl.jobs.model import JobSpec, Priority, Queue, User
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
                "SLURM_SUBMIT_DIR=/home/alice",
                "OMPI_MCA_plm_slurm_args=--external-launcher",
                "PRTE_MCA_plm_slurm_args=--external-launcher",
                "HYDRA_BOOTSTRAP=slurm",
                "HYDRA_LAUNCHER_EXTRA_ARGS=--external-launcher",
                "I_MPI_HYDRA_BOOTSTRAP=slurm",
                "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS=--external-launcher",
            ],
            "tasks": 6,
            "tasks_per_node": 3,
            "nodes": "2",
            "partition": "main",
            "account": "physics",
            "time_limit": {"set": True, "number": 2},
            "script": "#!/bin/sh\ndate\n",
        }
    }


def test_the_oldest_dialect_has_plain_numbers_and_a_mapping_of_the_environment() -> None:
    body = submitted(job(template={"spec": POD}, nodes=1, walltime=61), "v0.0.38")
    assert body["script"].startswith("#!/bin/bash")
    found = body["job"]
    assert found["environment"]["WHO"] == "me"
    assert (found["nodes"], found["time_limit"], found["memory_per_node"], found["gres"]) == (
        [1, 1], 2, 1024, "gpu:1"
    )  # fmt: skip
    spread = submitted(job(template={"spec": POD}, tasks=3), "v0.0.38")["job"]
    assert (spread["gpus_per_task"], spread["memory_per_cpu"]) == ("1", 512)


def test_a_script_asks_for_what_one_task_needs() -> None:
    needs = {"cpu": "1500m", "memory": "1Gi", "nvidia.com/gpu": 2}
    alone = submitted(job(script="#!/bin/sh\n", resources=needs))["job"]
    assert (alone["cpus_per_task"], alone["memory_per_node"]["number"], alone["tres_per_node"]) == (
        2, 1024, "gres/gpu:2"
    )  # fmt: skip
    spread = submitted(job(script="#!/bin/sh\n", resources=needs, tasks=8))["job"]
    assert (spread["memory_per_cpu"]["number"], spread["tres_per_task"]) == (512, "gres/gpu:2")
    assert not {"nodes", "memory_per_node", "tres_per_node"} & spread.keys()
    packed = submitted(job(script="#!/bin/sh\n", resources=needs, tasks=8, tasksPerNode=4))["job"]
    assert (packed["tasks_per_node"], packed["memory_per_node"]["number"]) == (4, 4096)
    container = kubernetes.batch_job(job(script="#!/bin/sh\n", resources=needs), ALICE, "a", TOKEN)
    levels = {"cpu": "1500m", "memory": "1Gi", "nvidia.com/gpu": "2"}
    assert container["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "requests": levels, "limits": levels
    }  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "tasks", "each", "sent"),
    [
        (2, 6, None, 3),
        (4, 5, None, 2),
        (2, 2, None, 1),
        (1, 4, None, None),
        (2, 6, 4, 4),
        (None, 6, None, None),
    ],
)
def test_no_node_gets_more_tasks_than_it_has_memory_for(
    nodes: int | None, tasks: int, each: int | None, sent: int | None
) -> None:
    given = {"nodes": nodes, "tasks": tasks, "tasksPerNode": each}
    spec = {name: value for name, value in given.items() if value}
    found = submitted(job(script="#!/bin/sh\n", resources={"memory": "1Mi"}, **spec))["job"]
    assert found.get("tasks_per_node") == sent
    if sent:
        assert found["memory_per_node"]["number"] == sent


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"cpu": "1"}, {"nodes": "1", "cpus_per_task": 1}),
        ({"cpu": "1001m"}, {"nodes": "1", "cpus_per_task": 2}),
        ({"memory": "1Mi"}, {"nodes": "1", "memory_per_node": 1}),
        ({"memory": str(2**20 + 1)}, {"nodes": "1", "memory_per_node": 2}),
        ({"memory": str(2**20 + 1), "tasks": 2}, {"memory_per_cpu": 2}),
        ({"cpu": "2", "memory": "3Mi", "tasks": 2}, {"cpus_per_task": 2, "memory_per_cpu": 2}),
    ],
)
def test_what_slurm_is_asked_for_is_rounded_up(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    resources = {name: spec[name] for name in spec if name != "tasks"}
    body = submitted(job(script="#!/bin/sh\n", tasks=spec.get("tasks", 1), resources=resources))["job"]
    asked = {name: body[name] for name in ("nodes", "cpus_per_task") if name in body}
    memory = {name: body[name]["number"] for name in body if name.startswith("memory")}
    assert asked | memory == expected
    assert all(type(number) is int for number in memory.values())


def test_a_container_knows_its_home_before_anything_else() -> None:
    container = {**POD["containers"][0], "env": [{"name": "DATA", "value": "$(HOME)/data"}]}
    found = slurm_container.program(job(template={"spec": {"containers": [container]}}), ALICE)
    assert found.environment == {"HOME": "/home/alice", "DATA": "/home/alice/data"}


def test_an_array_for_slurm_is_one_submission() -> None:
    description = submitted(job(script="#!/bin/sh\ndate\n", array="0-20:5%2"))["job"]
    assert description["array"] == "0-20:5%2"
    assert description["standard_output"] == "/home/alice/pi-%A_%a.out"
    index = '"$SLURM_ARRAY_TASK_ID"'
    assert f"export KFOUNDRY_INDEX={index} JOB_COMPLETION_INDEX={index}\n" in description["script"]
    command = [{**POD["containers"][0], "command": ["echo", "n$(KFOUNDRY_INDEX)"]}]
    script = submitted(job(template={"spec": {"containers": command}}, array="0-1"))["job"]["script"]
    assert script.endswith('-- echo n"$KFOUNDRY_INDEX"\n')


def test_a_queue_and_a_priority_class_on_both() -> None:
    queue = Queue("q", partition="p", qos="slow", node_selector={"a": "b"}, pod_priority_class="low")
    urgent = replace(job(template={"spec": POD}, queue="q"), priority=Priority("fast", 5, "high"))
    plain = job(template={"spec": POD}, queue="q")

    def both(spec: JobSpec) -> tuple[dict[str, Any], dict[str, Any]]:
        body = slurm.submission(spec, ALICE, "pi", TOKEN, "v0.0.42", queue)["job"]
        batch = kubernetes.batch_job(spec, ALICE, "pi", TOKEN, queue=queue)
        return body, batch["spec"]["template"]["spec"]

    description, pod = both(urgent)
    assert (description["partition"], description["qos"], description["nice"]) == ("p", "fast", 5)
    assert (pod["nodeSelector"], pod["priorityClassName"]) == ({"a": "b"}, "high")
    description, pod = both(plain)
    assert (description["qos"], pod["priorityClassName"]) == ("slow", "low")


def test_an_interactive_job_without_a_script_keeps_its_allocation() -> None:
    spec = job(interactive=True, walltime="10m")
    assert submitted(spec)["job"]["script"] == spec.script
    assert slurm.entrance("17", {}) == "srun --jobid=17 --overlap --pty bash"


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """What keeps an allocation of ten minutes, in its place."""
    script = job(interactive=True, walltime="10m").script
    assert script is not None
    path = tmp_path / "script"
    path.write_text(script)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("age", "left"), [(0, 595), (100, 495), (600, 1), (6000, 1)])
def test_an_allocation_is_kept_for_what_its_start_left_of_the_time(
    waiting: Path, age: int, left: int
) -> None:
    """Kubernetes ends a pod after its wall time with the pull of its image; that would be a failure."""
    made = time.time() - age
    os.utime(waiting, (made, made))
    # As the kubelet has it: by way of a link.
    (waiting.parent / "link").symlink_to(waiting)
    (waiting.parent / "sleep").write_text('#!/bin/sh\necho "$1"\n')
    (waiting.parent / "sleep").chmod(0o755)
    path = {"PATH": f"{waiting.parent}:{os.environ['PATH']}"}
    done = subprocess.run([waiting.parent / "link"], env=path, capture_output=True, check=True)
    assert left - 10 <= int(done.stdout) <= left


def test_what_keeps_an_allocation_ends_at_once_when_it_is_told_to(waiting: Path) -> None:
    """As the first process it would not hear SIGTERM at all if it did not ask for it."""
    process = subprocess.Popen([waiting])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not children.read_text():
        assert process.poll() is None
    process.terminate()
    assert process.wait(10) == 143


def test_an_interactive_pod_is_named_for_its_user_alone() -> None:
    batch = kubernetes.batch_job(job(interactive=True, walltime="10m"), ALICE, "pi", TOKEN)
    name = batch["metadata"]["name"]
    assert name == "kfoundry-enter-10001-pi-11924ac8-1"
    pod = batch["spec"]["template"]["spec"]
    assert pod["volumes"][0]["configMap"]["name"] == name
    assert pod["activeDeadlineSeconds"] == 600
    assert (
        kubernetes.entrance(f"team/{name}", {"template": {}}) == f"kubectl exec -it -n team job/{name} -- sh"
    )
    for other in ("kfoundry-enter-10002-x", "KFOUNDRY-ENTER-10002-x", ".kfoundry-enter-10002"):
        plain = kubernetes.batch_name(other, TOKEN)
        assert not plain.startswith("kfoundry-enter-"), plain
        assert len(plain) <= 63
    longest = kubernetes.batch_name("x" * 253, Token("lab", TOKEN.uid, 9999), replace(ALICE, uid=2**32 - 2))
    # The pods of a batch Job have its name as a label, and their index in their host name.
    assert len(longest) <= 60


def test_the_elements_of_an_array_stand_for_themselves() -> None:
    batch = kubernetes.batch_job(job(template={"spec": POD}, array="0-9%3"), ALICE, "pi", TOKEN)
    spec = batch["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 10, 3)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (0, 10)
    # With backoffLimit the first failure would be the end of all.
    assert "backoffLimit" not in spec
    index = spec["template"]["spec"]["containers"][0]["env"][-1]
    assert index["name"] == "KFOUNDRY_INDEX"
    assert "job-completion-index" in index["valueFrom"]["fieldRef"]["fieldPath"]


def test_a_home_with_a_claim_is_mounted_and_left_as_it_is() -> None:
    bob = replace(ALICE, home_claim="kfoundry-home-10001")
    for spec in (job(script="#!/bin/sh\n"), job(template={"spec": POD})):
        pod = kubernetes.batch_job(spec, bob, "pi", TOKEN)["spec"]["template"]["spec"]
        claims = [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
        assert claims[0]["persistentVolumeClaim"] == {"claimName": "kfoundry-home-10001"}
        assert {"name": claims[0]["name"], "mountPath": "/home/alice"} in pod["containers"][0]["volumeMounts"]
        assert {"name": "HOME", "value": "/home/alice"} in pod["containers"][0]["env"]
        assert "fsGroup" not in pod["securityContext"]


def test_files_are_staged_by_programs_that_get_their_names_as_words() -> None:
    bob = replace(ALICE, home_claim="kfoundry-home-10001")
    transfers = [{"source": "$(id)", "target": "a/b"}]
    spec = job(script="#!/bin/sh\n", stageIn=transfers, stageOut=transfers)
    pod = kubernetes.batch_job(spec, bob, "pi", TOKEN)["spec"]["template"]["spec"]
    for command in (pod["initContainers"][0]["command"], pod["containers"][0]["command"]):
        assert command[4:] == ["/home/alice/$$(id)", "/home/alice/a/b", "/home/alice/a"]


@pytest.mark.parametrize("exit_code", [0, 3])
def test_the_program_that_stages_results_keeps_the_exit_code(tmp_path: Path, exit_code: int) -> None:
    bob = replace(ALICE, home=str(tmp_path), home_claim="kfoundry-home-10001")
    (tmp_path / "script").write_text(f"#!/bin/sh\necho x >out\nexit {exit_code}\n")
    (tmp_path / "script").chmod(0o755)
    spec = job(script="#!/bin/sh\n", stageOut=[{"source": "out", "target": "kept/out"}])
    pod = kubernetes.batch_job(spec, bob, "pi", TOKEN)["spec"]["template"]["spec"]
    command = [word.replace("$$", "$") for word in pod["containers"][0]["command"]]
    command[2] = command[2].replace("/kfoundry/script", str(tmp_path / "script"))
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == exit_code
    assert (tmp_path / "kept" / "out").read_text() == "x\n"


def test_results_of_a_container_are_copied_beside_it() -> None:
    bob = replace(ALICE, home_claim="kfoundry-home-10001")
    transfers = [{"source": "a", "target": "b"}]
    spec = job(template={"spec": POD}, stageIn=transfers, stageOut=transfers)
    pod = kubernetes.batch_job(spec, bob, "pi", TOKEN)["spec"]["template"]["spec"]
    before, beside = pod["initContainers"]
    assert "restartPolicy" not in before
    assert beside["restartPolicy"] == "Always"
    assert (pod["shareProcessNamespace"], pod["terminationGracePeriodSeconds"]) == (True, 300)
    for seconds in (0, 7, 30):
        own = job(template={"spec": {**POD, "terminationGracePeriodSeconds": seconds}}, stageOut=transfers)
        pod = kubernetes.batch_job(own, bob, "pi", TOKEN)["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize("what", [{"template": {"spec": POD}}, {"script": "#!/bin/sh\n"}])
def test_containers_that_copy_have_bounds_that_keep_a_pod_guaranteed(what: dict[str, Any]) -> None:
    bob = replace(ALICE, home_claim="kfoundry-home-10001")
    transfers = [{"source": "a", "target": "b"}]
    pod = kubernetes.batch_job(job(**what, stageIn=transfers, stageOut=transfers), bob, "pi", TOKEN)
    copying = pod["spec"]["template"]["spec"]["initContainers"]
    assert copying
    for resources in (container["resources"] for container in copying):
        assert resources["requests"] == resources["limits"]
        assert resources["limits"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize(("there", "code"), [(True, 0), (False, 74)])
def test_what_waits_beside_a_container_copies_when_it_is_told_to_end(
    tmp_path: Path, there: bool, code: int
) -> None:
    bob = replace(ALICE, home=str(tmp_path), home_claim="kfoundry-home-10001")
    spec = job(template={"spec": POD}, stageOut=[{"source": "out", "target": "kept/out"}])
    pod = kubernetes.batch_job(spec, bob, "pi", TOKEN)["spec"]["template"]["spec"]
    process = subprocess.Popen([word.replace("$$", "$") for word in pod["initContainers"][0]["command"]])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (found := children.read_text()):
        assert process.poll() is None
    child = int(found)
    if there:
        (tmp_path / "out").write_text("x")
    process.terminate()
    assert process.wait(10) == code
    os.kill(child, signal.SIGTERM)
    assert (tmp_path / "kept" / "out").exists() is there


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
        "#!/bin/bash -p\nexec /usr/local/bin/platform-run-image --cd=image docker.io/library/perl:5.34.0 -- "
        "perl -e 'print qq(me\\n)'\n"
    )


def test_many_tasks_of_a_container_are_started_by_srun_with_memory_by_node() -> None:
    description = submitted(job(template={"spec": POD}, tasks=5, nodes=2))["job"]
    assert "exec srun /bin/bash -p -c " in description["script"]
    assert 'export JOB_COMPLETION_INDEX="$SLURM_PROCID"' in description["script"]
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
    script = slurm_container.program(job(template={"spec": pod}), ALICE).script
    assert script.count("\n") == 2
    shown = script.replace("exec /usr/local/bin/platform-run-image", "printf '%s\\0'")
    read = subprocess.run(["bash", "-c", shown], capture_output=True, check=True).stdout
    assert read.decode().split("\0")[3:-1] == words


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
    # What runs is what was submitted, and goes with it.
    assert config_map["immutable"] is True
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "my-job-11924ac8-1", "uid": "u"}
    assert config_map["metadata"]["ownerReferences"] == [{**owner, "controller": True}]
    assert str(TOKEN) in config_map["metadata"]["annotations"].values()
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


def test_srun_inside_is_told_the_options_as_sbatch_tells_it() -> None:
    block = {
        "gpusPerTask": "2",
        "hint": "nomultithread",
        "memPerGpu": "1G",
        "environment": {"SLURM_HINT": "own"},
    }
    body = submitted(job(script="#!/bin/sh\n", resources={"cpu": "3"}, tasks=4, tasksPerNode=2, slurm=block))
    found = dict(item.split("=", 1) for item in body["job"]["environment"])
    expected = {
        "SLURM_CPUS_PER_TASK": "3",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_TRES_PER_TASK": "cpu=3,gres/gpu=2",
        "SLURM_MEM_PER_GPU": "1024",
        "SLURM_HINT": "own",
    }
    assert {name: found[name] for name in expected} == expected
    old = submitted(job(script="#!/bin/sh\n"), "v0.0.38")["job"]["environment"]
    assert "HYDRA_BOOTSTRAP" not in old


@pytest.mark.parametrize("sizes", [{}, {"tasks": 4, "nodes": 2}, {"resources": {"memory": "1Gi"}}])
def test_variables_alone_change_no_amount(sizes: dict[str, Any]) -> None:
    plain = submitted(job(script="#!/bin/sh\n", **sizes))["job"]
    with_variable = submitted(job(script="#!/bin/sh\n", slurm={"environment": {"A": "1"}}, **sizes))["job"]
    assert "A=1" in with_variable.pop("environment")
    assert with_variable == {name: value for name, value in plain.items() if name != "environment"}


@pytest.mark.parametrize("array", [None, "0-1"])
def test_a_script_gets_its_arguments_on_slurm(array: str | None, tmp_path: Path) -> None:
    words = ["a b", "it's", "$HOME", "--time"]
    body = submitted(job(script='#!/bin/sh\nprintf "%s|" "$@"\n', args=words, array=array))["job"]
    assert body["argv"] == ["script", *words]
    path = tmp_path / "batch"
    path.write_text(body["script"])
    path.chmod(0o755)
    done = subprocess.run([path, *words], capture_output=True, text=True, check=True)
    assert done.stdout == "|".join([*words, ""])


@pytest.mark.parametrize("copied", [False, True])
def test_a_script_has_its_folder_its_arguments_and_its_variables_on_kubernetes(copied: bool) -> None:
    block = {"chdir": "/home/alice/run", "environment": {"DATA": "$(HOME)", "SLURM_UMASK": "0022"}}
    more = {"stageOut": [{"source": "out", "target": "kept"}]} if copied else {}
    spec = job(script="#!/bin/sh\n", args=["a b", "$(X)"], slurm=block, **more)
    (container,) = kubernetes.batch_job(spec, ALICE, "a", TOKEN)["spec"]["template"]["spec"]["containers"]
    assert container["workingDir"] == "/home/alice/run"
    # The kubelet reads $$ as $: nothing is expanded.
    assert {"name": "DATA", "value": "$$(HOME)"} in container["env"]
    assert not any(item["name"].startswith("SLURM_") for item in container["env"])
    if copied:
        assert container["command"][2].startswith("/kfoundry/script 'a b' '$$(X)' &\n")
    else:
        assert container["command"] == ["/kfoundry/script", "a b", "$$(X)"]


@pytest.mark.parametrize(("folder", "claim", "refused"), [
    ("/home/alice/run", "claim", []),
    ("/home/alice/run", None, ["spec.slurm.chdir"]),
    ("/scratch/run", "claim", ["spec.slurm.chdir"]),
    ("/home/alice", None, []),
])  # fmt: skip
def test_a_script_on_kubernetes_starts_where_something_is_mounted(
    folder: str, claim: str | None, refused: list[str]
) -> None:
    spec = job(script="#!/bin/sh\n", slurm={"chdir": folder})
    found = kubernetes_rules.unsupported_for(spec, replace(ALICE, home_claim=claim))
    assert [refusal.path for refusal in found] == refused


def test_the_signal_before_the_end_reaches_the_program_of_an_array(tmp_path: Path) -> None:
    program = "#!/bin/sh\ntrap 'echo saved; exit 0' USR1\necho ready\nwhile :; do sleep 0.05; done\n"
    path = tmp_path / "batch"
    path.write_text(submitted(job(script=program, array="0-1"))["job"]["script"])
    path.chmod(0o755)
    process = subprocess.Popen([path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.read() == "saved\n"
    assert process.wait(10) == 0
