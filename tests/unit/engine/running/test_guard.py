import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from platformctl.engine.running import guard

# Ansible's workers do the same: a session of their own, out of reach of the process group.
WORKER = (
    "import os, time; os.fork() and os._exit(0); os.setsid();"
    " open({path!r}, 'w').write(str(os.getpid())); time.sleep(60)"
)


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A parent that runs the guard, which runs a worker that detaches itself, and then waits."""
    worker = [sys.executable, "-c", WORKER.format(path=str(folder / "worker"))]
    shell = f"{sys.executable} -c 'import time; time.sleep(60)'"
    script = [sys.executable, "-I", "-S", guard.__file__, str(folder / "guard"), "sh", "-c"]
    command = " ".join(f"'{word}'" if '"' not in word and "'" not in word else f'"{word}"' for word in worker)
    parent = f"import subprocess; subprocess.run({[*script, f'{command}; {shell}']!r})"
    return subprocess.Popen([sys.executable, "-c", parent])


def pid(path: Path) -> int:
    end = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return int(path.read_text())


def gone(process: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_kill_9_of_the_parent_ends_detached_workers_too(tmp_path: Path) -> None:
    parent = start(tmp_path)
    worker, guarding = pid(tmp_path / "worker"), pid(tmp_path / "guard")
    parent.kill()
    parent.wait()
    assert gone(worker)
    assert gone(guarding)


def test_a_signal_to_the_guard_ends_all(tmp_path: Path) -> None:
    parent = start(tmp_path)
    worker = pid(tmp_path / "worker")
    os.kill(pid(tmp_path / "guard"), signal.SIGTERM)
    assert gone(worker)
    assert parent.wait(10) == 0


def test_the_exit_status_passes_through(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", guard.__file__, str(tmp_path / "guard"), "sh", "-c", "exit 7"]
    assert subprocess.run(command, check=False).returncode == 7
