"""A manifest of batch/v1 from the command line to a Job."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from platformctl.errors import ExitCode, PlatformError
from tests.unit.cli.conftest import MemoryJobs

Run = Callable[..., Result]
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: pi, labels: {app: pi}}
spec:
  completions: 3
  backoffLimit: 4
  template:
    spec:
      restartPolicy: Never
      containers: [{name: pi, image: "perl:5.34.0", command: [perl, -e, "print 1"]}]
"""
# As `kubectl get job -o yaml` shows one that has run.
STORED = """
apiVersion: batch/v1
kind: Job
metadata:
  name: old
  uid: 11924ac8-3932-46d6-ad0c-b5501999851a
  resourceVersion: "7"
  labels: {job-name: old}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
spec:
  backoffLimit: 6
  completionMode: NonIndexed
  completions: 1
  manualSelector: false
  parallelism: 1
  podReplacementPolicy: TerminatingOrFailed
  selector: {matchLabels: {batch.kubernetes.io/controller-uid: x}}
  suspend: false
  template:
    metadata:
      creationTimestamp: null
      labels:
        batch.kubernetes.io/controller-uid: x
        batch.kubernetes.io/job-name: old
        controller-uid: x
        job-name: old
    spec:
      containers:
      - command: ["true"]
        image: debian:13
        imagePullPolicy: IfNotPresent
        name: c
        resources: {}
        terminationMessagePath: /dev/termination-log
        terminationMessagePolicy: File
      dnsPolicy: ClusterFirst
      restartPolicy: Never
      schedulerName: default-scheduler
      securityContext: {}
      terminationGracePeriodSeconds: 30
status: {succeeded: 1}
"""


def test_one_line_changes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    done = run("job", "import", str(tmp_path / "job.yaml"))
    expected = yaml.safe_load(JOB) | {"apiVersion": "kfoundry.io/v1alpha1"}
    assert yaml.safe_load(done.stdout) == expected
    assert "note" not in done.stderr


def test_what_the_api_server_wrote_is_left_out(run: Run) -> None:
    done = run("job", "import", "-", text=STORED)
    job = yaml.safe_load(done.stdout)
    assert job["metadata"] == {"name": "old"}
    assert not {"selector", "manualSelector", "status"} & {*job["spec"], *job}
    assert "old: metadata.uid is left out" in done.stderr
    assert "old: spec.selector is left out" in done.stderr
    assert "old: spec.podReplacementPolicy has no effect" in done.stderr


def test_several_documents_and_lists_with_other_objects(run: Run) -> None:
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\n"
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(JOB)]})
    nameless = JOB.replace("name: pi, labels", "labels").replace("  backoffLimit: 4\n", "")
    done = run("-o", "json", "job", "import", "-", text=f"{other}---\n{listed}\n---{nameless}")
    found = json.loads(done.stdout)
    assert [job["metadata"].get("name") for job in found["jobs"]] == ["pi", None]
    assert found["jobs"][1]["metadata"]["generateName"] == "stdin-"
    assert "the ConfigMap conf of v1 is left out: create it with kubectl" in found["notes"]
    assert any("add backoffLimit: 6" in note for note in found["notes"])


def test_it_is_submitted_to_the_target_that_is_named(jobs: MemoryJobs, run: Run) -> None:
    assert run("job", "import", "-", "--submit", "--target", "kubernetes", text=JOB).exit_code == 0
    job = jobs.jobs[-1]
    assert job["spec"]["target"] == "kubernetes"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("restartPolicy: Never", "hostNetwork: true"), "spec.template.spec.hostNetwork: is not supported"),
        (("completions: 3", "completions: 0"), "spec.completions: must be"),
    ],
)
def test_what_cannot_be_a_job_is_named_by_its_path(run: Run, change: tuple[str, str], words: str) -> None:
    error = run("job", "import", "-", text=JOB.replace(*change)).exception
    assert isinstance(error, PlatformError)
    assert error.code is ExitCode.INVALID
    assert any(words in line for line in error.details)


@pytest.mark.parametrize("text", ["apiVersion: v1\nkind: Pod\n", "apiVersion: [", "- apiVersion\n"])
def test_other_files_are_told_what_would_do(run: Run, text: str) -> None:
    error = run("job", "import", "-", text=text).exception
    assert isinstance(error, PlatformError)
    assert "a manifest of batch/v1" in str(error.next)


@pytest.mark.parametrize(
    "words", [["-n", "4"], ["--array=0-3"], ["input.txt"], ["--without", "mail-type"], ["--job", "7=a"]]
)
def test_a_manifest_takes_nothing_of_sbatch(run: Run, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(JOB)
    error = run("job", "import", str(file), *words).exception
    assert isinstance(error, PlatformError)
    assert "no options of sbatch and no arguments" in error.what
    assert error.code == ExitCode.INVALID
