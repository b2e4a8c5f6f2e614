"""The program of a template on Slurm, run by the real bash with a stand-in for the container runner."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from platformctl.jobs import slurm
from platformctl.jobs.batch_script import RUNNER
from platformctl.jobs.contents import Contents, UnusableError, named
from platformctl.jobs.model import JobSpec, Policy, Target, User
from platformctl.jobs.parse import parse
from platformctl.jobs.policy import settle
from platformctl.jobs.tokens import Token

ALICE = User("alice", 10001, 10001, (), None, "/home/alice")
TOKEN = Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1)
POLICY = Policy(claim_folders={"default/data": "/data/of claims"}, slurm_secrets=True)
CONTENTS: Contents = {
    ("ConfigMap", "conf"): {"a": b"one\n", "b.txt": b"two $(x) '\n\n", "bin": b"\x00\xff"},
    ("Secret", "mine"): {"token": b"hidden $HOME\n", "key": b"\x01secret"},
}
# Runs a shell program as the container: its mounts are links below $ROOT, its image and options are in $LOG.
FAKE = """#!/bin/bash
for word; do
  case $word in
    --mount=*) IFS=: read -r source target mode <<<"${word#--mount=}"
      mkdir -p "$ROOT/$(dirname "$target")"; ln -sfn "$source" "$ROOT/$target" ;;
  esac
  printf '%s\\n' "$word" >>"$LOG"
done
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


class Node:
    """A host of Slurm."""

    def __init__(self, folder: Path) -> None:
        self.root, self.log, self.scratch = folder / "root", folder / "log", folder / "scratch"
        self.root.mkdir()
        self.scratch.mkdir()
        self.runner = folder / "runner"
        self.runner.write_text(FAKE)
        self.runner.chmod(0o755)
        (folder / "srun").write_text(
            '#!/bin/sh\nfor SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done\n'
        )
        (folder / "srun").chmod(0o755)
        self.script = folder / "script"

    def start(self, job: JobSpec, **more: str) -> subprocess.Popen[str]:
        body = slurm.submission(job, ALICE, "pi", TOKEN, "v0.0.42", contents=CONTENTS, namespace="team")[
            "job"
        ]
        self.script.write_text(body["script"].replace(RUNNER, str(self.runner)))
        self.script.chmod(0o755)
        environment = dict(pair.split("=", 1) for pair in body["environment"])
        environment |= {"ROOT": str(self.root), "LOG": str(self.log), "TMPDIR": str(self.scratch)}
        environment |= {"SLURM_JOB_NAME": "pi", "SLURM_JOB_ID": "17", "SLURMD_NODENAME": "node1", **more}
        environment["PATH"] = f"{self.script.parent}:{environment['PATH']}"
        pipe = subprocess.PIPE
        return subprocess.Popen([self.script], env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, job: JobSpec, **more: str) -> str:
        with self.start(job, **more) as process:
            out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert not err
        assert list(self.scratch.iterdir()) == []
        return out


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def job(pod: dict[str, Any] | None = None, spec: dict[str, Any] | None = None, **container: Any) -> JobSpec:
    main = {"name": "a", "image": "b", **container}
    metadata = {"labels": {"app": "x"}, "annotations": {"note": "$(y) $z '"}}
    template = {"metadata": metadata, "spec": {"containers": [main], **(pod or {})}}
    found = parse({"template": template, **(spec or {})})
    assert isinstance(found, JobSpec), found
    settled = settle(found, ALICE, POLICY)
    assert isinstance(settled, JobSpec), settled
    assert Target.SLURM not in settled.unsupported, settled.unsupported
    return settled


def sh(program: str) -> list[str]:
    return ["sh", "-c", program.replace("$", "$$")]


def mounted(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "mountPath": f"/{name}"} for name in names]


def test_an_entry_point_with_arguments_of_the_job(node: Node) -> None:
    node.run(job(args=["true"]))
    assert node.log.read_text().splitlines() == [
        "--cd=image", "--entrypoint", "docker.io/library/b", "--", "true"
    ]  # fmt: skip


def test_a_folder_of_the_job_and_none_at_the_end(node: Node) -> None:
    pod = {"volumes": [{"name": "d", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]}
    done = node.run(
        job(
            pod,
            command=sh("echo x >$ROOT/d/f; ls $ROOT/d; readlink $ROOT/d $ROOT/m"),
            workingDir="/w",
            volumeMounts=mounted("d", "m"),
        )
    )
    file, disk, memory = done.splitlines()
    assert file == "f"
    assert Path(disk).is_relative_to(node.scratch)
    assert Path(memory).is_relative_to("/dev/shm")
    assert not Path(memory).parent.exists()
    assert "--cd=/w" in node.log.read_text()


def test_init_containers_run_in_order_with_their_own_variables(node: Node) -> None:
    def init(name: str, program: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "image": "i", "command": sh(program), "volumeMounts": mounted("d"), **more}

    pod = {
        "initContainers": [
            init("one", "echo $B-$A >$ROOT/d/f", env=[{"name": "B", "value": "b"}]),
            init("two", "cat $ROOT/d/f; echo second >>$ROOT/d/f"),
        ],
        "volumes": [{"name": "d", "emptyDir": {}}],
    }
    command = sh("cat $ROOT/d/f; echo $A$B")
    done = node.run(job(pod, command=command, env=[{"name": "A", "value": "a"}], volumeMounts=mounted("d")))
    assert done.splitlines() == ["b-", "b-", "second", "a"]


def test_a_failed_init_container_ends_the_job_with_its_code(node: Node) -> None:
    pod = {"initContainers": [{"name": "i", "image": "i", "command": sh("exit 7")}]}
    with node.start(job(pod, command=sh("echo ran"))) as process:
        assert process.communicate(timeout=20)[0] == ""
    assert process.returncode == 7


def test_files_and_variables_of_config_maps_and_secrets(node: Node) -> None:
    assert {one.name for one in named(_named())} == {"conf", "mine"}
    done = node.run(_named())
    lines = done.split("--\n")
    assert lines[0] == "one\n\n"
    assert lines[1] == "two $(x) '\n\n"
    assert lines[2] == "hidden $HOME\n\n"
    assert lines[3] == "444 600\n"
    assert lines[4] == "00ff\n"
    assert "hidden" not in node.script.read_text()
    assert "secret" not in node.script.read_text()


def _named() -> JobSpec:
    pod = {
        "volumes": [
            {"name": "c", "configMap": {"name": "conf", "defaultMode": 0o444}},
            {
                "name": "s",
                "secret": {"secretName": "mine", "items": [{"key": "key", "path": "k/e", "mode": 0o600}]},
            },
        ]
    }
    show = (
        'echo "$ONE"; echo --; cat $ROOT/c/b.txt; echo --; echo "$TOKEN"; echo --; '
        "stat -Lc %a $ROOT/c/a $ROOT/s/k/e | xargs; echo --; od -An -tx1 $ROOT/c/bin | tr -d ' '"
    )
    return job(
        pod,
        command=sh(show),
        env=[
            {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "a"}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "token"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "x", "optional": True}}},
        ],
        volumeMounts=mounted("c", "s"),
    )


def test_a_secret_in_a_command_is_not_in_the_script(node: Node) -> None:
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "token"}}},
           {"name": "URL", "value": "x:$(TOKEN)@y"}]  # fmt: skip
    done = node.run(job(command=["printf", "%s|", "$(TOKEN)", "$(URL)"], env=env))
    assert done == "hidden $HOME\n|x:hidden $HOME\n@y|"
    assert "hidden" not in node.script.read_text()


def test_what_the_pod_would_know(node: Node) -> None:
    def field(path: str) -> dict[str, Any]:
        return {"fieldRef": {"fieldPath": path}}

    pod = {"volumes": [{"name": "i", "downwardAPI": {"items": [
        {"path": "labels", **field("metadata.labels")},
        {"path": "cpu", "resourceFieldRef": {
            "resource": "limits.cpu", "containerName": "a", "divisor": "1m"}},
    ]}}]}  # fmt: skip
    env = [
        {"name": name, "valueFrom": field(path)}
        for name, path in (
            ("POD", "metadata.name"),
            ("SPACE", "metadata.namespace"),
            ("NODE", "spec.nodeName"),
            ("APP", "metadata.labels['app']"),
            ("NOTE", "metadata.annotations['note']"),
        )
    ]
    program = 'echo "$POD $SPACE $NODE $APP $NOTE $BOTH"; cat $ROOT/i/labels $ROOT/i/cpu'
    spec = job(
        pod,
        command=sh(program),
        env=[*env, {"name": "BOTH", "value": "$(NODE)/$(NOTE)"}],
        resources={"limits": {"cpu": 0.5}},
        volumeMounts=mounted("i"),
    )
    assert node.run(spec) == ("pi-17 team node1 x $(y) $z ' node1/$(y) $z '\napp=\"x\"\n500")


def test_the_index_of_an_element_and_of_a_task(node: Node) -> None:
    command = sh('echo "$JOB_COMPLETION_INDEX $KFOUNDRY_INDEX"')
    element = {"completions": 9, "completionMode": "Indexed"}
    assert node.run(job(spec=element, command=command), SLURM_ARRAY_TASK_ID="7") == "7 7\n"
    assert node.run(job(spec={"completions": 9}, command=command), SLURM_ARRAY_TASK_ID="7") == " \n"
    assert node.run(job(spec={"tasks": 2}, command=command)) == "0 \n1 \n"
    pod = {"volumes": [{"name": "d", "emptyDir": {}}]}
    own = sh("ls $ROOT/d; echo $JOB_COMPLETION_INDEX | tee $ROOT/d/$JOB_COMPLETION_INDEX")
    assert node.run(job(pod, {"tasks": 2}, command=own, volumeMounts=mounted("d"))) == "0\n1\n"


def test_a_claim_is_the_folder_that_the_site_names(node: Node) -> None:
    pod = {"volumes": [{"name": "c", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}}]}
    mount = {"name": "c", "mountPath": "/in", "subPath": "a b"}
    node.run(job(pod, command=["true"], volumeMounts=[mount]))
    assert "--mount=/data/of claims/a b:/in:ro" in node.log.read_text().splitlines()


def test_a_signal_reaches_the_container_and_the_folder_is_removed(node: Node) -> None:
    pod = {"volumes": [{"name": "d", "emptyDir": {}}]}
    program = "trap 'echo told; exit 5' TERM; echo here; while :; do sleep 0.05; done"
    with node.start(job(pod, command=sh(program), volumeMounts=mounted("d"))) as process:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        assert process.stdout.read() == "told\n"
    assert process.returncode == 5
    assert list(node.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMapKeyRef": {"name": "conf", "key": "x"}}, "ConfigMap conf has no entry x"),
        ({"secretKeyRef": {"name": "mine", "key": "x"}}, "Secret mine has no entry x"),
        ({"configMapKeyRef": {"name": "conf", "key": "bin"}}, "is not text"),
    ],
)
def test_contents_that_a_variable_cannot_have(source: dict[str, Any], words: str) -> None:
    spec = job(command=["true"], env=[{"name": "A", "valueFrom": source}])
    with pytest.raises(UnusableError, match=words):
        slurm.submission(spec, ALICE, "pi", TOKEN, "v0.0.42", contents=CONTENTS)
