"""What the batch script hands on, read back by a stand-in for the container runner under the real bash."""

import os
import signal
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformctl.jobs import slurm
from platformctl.jobs.batch_script import RUNNER
from platformctl.jobs.model import JobSpec, User
from platformctl.jobs.parse import parse
from platformctl.jobs.staging import CANNOT_COPY
from platformctl.jobs.tokens import Token
from tests.properties.texts import file_names, texts

ALICE = User("alice", 10001, 10001, (), None, "/home/alice")
TOKEN = Token("lab", "11924ac8-3932-46d6-ad0c-b5501999851a", 1)
FAKE = '#!/bin/sh\nprintf "%s\\0" "$@" >"$FAKE_FOLDER/argv"\nenv -0 >"$FAKE_FOLDER/env"\nexit "$FAKE_EXIT"\n'
# Only bash's own: it sets them itself, whatever its environment says.
_OF_BASH = {"_", "SHLVL", "PWD", "OLDPWD", "UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS", "BASHPID", "PATH"}
variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name not in _OF_BASH and not name.startswith(("FAKE_", "BASH_", "KFOUNDRY_", "LD_"))
)


class Node:
    """A home, and a runner that writes down how it was called."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self._folder = folder
        self.runner = folder / "runner"
        self.runner.write_text(FAKE)
        self.runner.chmod(0o755)
        (folder / "srun").write_text('#!/bin/sh\nexec "$@"\n')
        (folder / "srun").chmod(0o755)

    def run(self, job: JobSpec, index: int = 0, code: int = 0) -> subprocess.CompletedProcess[bytes]:
        """Run the job to its end."""
        with self.start(job, index, code) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, job: JobSpec, index: int = 0, code: int = 0) -> subprocess.Popen[bytes]:
        """Start the job as a slurmd does: the script from a file, its environment from the submission."""
        body = slurm.submission(job, replace(ALICE, home=str(self.home)), "pi", TOKEN, "v0.0.42")["job"]
        script = self._folder / "slurm_script"
        script.write_text(body["script"].replace(RUNNER, str(self.runner)))
        script.chmod(0o755)
        environment = dict(pair.split("=", 1) for pair in body["environment"])
        environment["PATH"] = f"{self._folder}:{environment['PATH']}"
        more = {"FAKE_FOLDER": str(self._folder), "FAKE_EXIT": str(code), "SLURM_ARRAY_TASK_ID": str(index)}
        pipe = subprocess.PIPE
        return subprocess.Popen([script], env=environment | more, cwd=self.home, stdout=pipe, stderr=pipe)

    def argv(self) -> list[str]:
        """The words that the runner was called with."""
        return [os.fsdecode(word) for word in (self._folder / "argv").read_bytes().split(b"\0")[:-1]]

    def env(self) -> dict[str, str]:
        """The environment that it had."""
        pairs = (self._folder / "env").read_bytes().split(b"\0")[:-1]
        return dict(os.fsdecode(pair).split("=", 1) for pair in pairs)


def job(**spec: Any) -> JobSpec:
    found = parse(spec)
    assert isinstance(found, JobSpec), found
    return found


def pod(command: list[str], env: dict[str, str] | None = None) -> dict[str, Any]:
    entries = [{"name": name, "value": value} for name, value in (env or {}).items()]
    return {"spec": {"containers": [{"name": "a", "image": "b", "command": command, "env": entries}]}}


def escaped(text: str) -> str:
    """As the kubelet leaves it alone."""
    return text.replace("$", "$$")


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(texts, min_size=1, max_size=6),
    env=st.dictionaries(variables, texts, max_size=4),
    tasks=st.integers(1, 2),
    array=st.booleans(),
    staged=st.booleans(),
)
def test_words_and_environment_arrive_byte_by_byte(
    words: list[str], env: dict[str, str], tasks: int, array: bool, staged: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        (node.home / "in").write_text("x")
        spec: dict[str, Any] = {"tasks": tasks}
        if array:
            spec["array"] = "0-9"
        if staged:
            spec["stageIn"] = [{"source": "in", "target": "deep/er/in"}]
        template = pod([escaped(word) for word in words], {name: escaped(text) for name, text in env.items()})
        done = node.run(job(template=template, **spec), index=7)
        assert done.returncode == 0, done.stderr
        assert node.argv() == ["--cd=image", "docker.io/library/b", "--", *words]
        seen = node.env()
        assert {name: seen.get(name) for name in env} == env
        assert seen.get("KFOUNDRY_INDEX") == ("7" if array else None)
        assert {path.name for path in node.home.iterdir()} == {"in"} | ({"deep"} if staged else set())


@settings(max_examples=60, deadline=None)
@given(before=texts, after=texts, index=st.integers(0, 1_000_000))
def test_a_reference_to_the_index_is_the_index(before: str, after: str, index: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        command = [f"{escaped(before)}$(KFOUNDRY_INDEX){escaped(after)}"]
        node.run(job(template=pod(command), array="0-1000000:1000"), index=index)
        assert node.argv()[3:] == [f"{before}{index}{after}"]


@settings(max_examples=100, deadline=None)
@given(text=texts, index=st.integers(0, 9), code=st.integers(0, 255))
def test_a_script_is_run_as_it_was_written(text: str, index: int, code: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        copying = node.runner.with_name("copying")
        copying.write_text('#!/bin/sh\ncp "$2" "$FAKE_FOLDER/copied"\n' + FAKE.split("\n", 1)[1])
        copying.chmod(0o755)
        script = f"#!{copying} -x\n{text}".replace("\n#SBATCH", "\n #SBATCH")
        done = node.run(job(script=script, array="0-9"), index, code)
        assert done.returncode == code, done.stderr
        assert (Path(folder) / "copied").read_bytes() == script.encode()
        assert node.argv()[0] == "-x"
        assert node.env()["KFOUNDRY_INDEX"] == str(index)


@settings(max_examples=100, deadline=None)
@given(names=st.lists(file_names, min_size=3, max_size=3, unique=True), code=st.sampled_from([0, 3]))
def test_files_of_any_name_are_staged_and_the_exit_code_is_kept(names: list[str], code: int) -> None:
    source, target, result = (f"{number}{name}" for number, name in enumerate(names))
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        (node.home / source).write_bytes(b"data")
        spec = job(
            script=f"#!/bin/sh\ncat work/* >out\nexit {code}\n",
            stageIn=[{"source": source, "target": f"work/{target}"}],
            stageOut=[{"source": "out", "target": f"results/{result}"}],
        )
        done = node.run(spec)
        assert done.returncode == code, done.stderr
        assert (node.home / "results" / result).read_bytes() == b"data"


@pytest.mark.parametrize(
    ("stage_in", "script", "code"),
    [
        ("missing", "#!/bin/sh\ntouch ran\n", CANNOT_COPY),
        ("there", "#!/bin/sh\ntouch ran\n", CANNOT_COPY),
        ("there", "#!/bin/sh\ntouch ran\nexit 5\n", 5),
        ("there", "#!/bin/sh\ntouch ran\nkill -TERM $$\n", 143),
    ],
)
def test_a_copy_that_fails_fails_the_job(tmp_path: Path, stage_in: str, script: str, code: int) -> None:
    node = Node(tmp_path)
    (node.home / "there").write_text("x")
    spec = job(
        script=script,
        stageIn=[{"source": stage_in, "target": "in"}],
        stageOut=[{"source": "never", "target": "x"}, {"source": "there", "target": "kept/there"}],
    )
    done = node.run(spec)
    assert done.returncode == code
    assert b"cannot copy" in done.stderr
    assert (node.home / "ran").exists() == (stage_in == "there")
    assert (node.home / "kept" / "there").exists() == (stage_in == "there")


def test_results_are_copied_when_slurm_ends_the_job(tmp_path: Path) -> None:
    node = Node(tmp_path)
    script = "#!/bin/bash\necho x >out\nkill -TERM $PPID $$\nsleep 60\n"
    done = node.run(job(script=script, stageOut=[{"source": "out", "target": "kept"}]))
    assert done.returncode == 143
    assert (node.home / "kept").read_text() == "x\n"


def test_a_container_cannot_make_the_batch_script_run_something(tmp_path: Path) -> None:
    node = Node(tmp_path)
    hooks = {
        "BASH_ENV": "$(touch owned)",
        "ENV": "$(touch owned)",
        "SHELLOPTS": "noexec",
        "PS4": "$(touch owned)",
    }
    node.run(job(template=pod(["true"], {name: escaped(text) for name, text in hooks.items()})))
    assert node.argv() == ["--cd=image", "docker.io/library/b", "--", "true"]
    assert not list(node.home.iterdir())


def test_a_long_script_is_one_word(tmp_path: Path) -> None:
    node = Node(tmp_path)
    script = "#!/bin/sh\n" + ":\n" * 200_000 + "echo $KFOUNDRY_INDEX\n"
    assert node.run(job(script=script, array="0-9"), 4).stdout == b"4\n"


@pytest.mark.parametrize(
    "spec", [{}, {"array": "0-9"}, {"stageOut": [{"source": "saved", "target": "kept"}]}]
)
@pytest.mark.parametrize(("sent", "name"), [(signal.SIGTERM, "TERM"), (signal.SIGINT, "INT")])
def test_a_program_is_told_to_end_and_what_it_saves_is_kept(
    tmp_path: Path, spec: dict[str, Any], sent: signal.Signals, name: str
) -> None:
    """Slurm's default: only the batch script itself is told; it has until KillWait is over."""
    node = Node(tmp_path)
    script = f"#!/bin/sh\ntrap 'echo done > saved; exit 3' {name}\necho ready\nwhile :; do sleep 0.01; done\n"
    with node.start(job(script=script, **spec)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(sent)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 3, err
    kept = node.home / ("kept" if "stageOut" in spec else "saved")
    assert kept.read_text() == "done\n"
