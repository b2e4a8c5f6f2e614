from pathlib import Path

import pytest

from platformctl.artifacts import programs
from platformctl.artifacts.catalogue import Catalogue, load
from platformctl.artifacts.progress import Progress
from platformctl.artifacts.sources import Modules
from platformctl.console import Output
from platformctl.errors import PlatformError


def test_a_build_is_keyed_by_its_toolchain_and_recipe() -> None:
    catalogue = load()
    keys = {
        programs.plan(catalogue, [name], toolchain)[0].key
        for name in ("kubeadm", "kubelet")
        for toolchain in ("go version go1.26.8 linux/amd64", "go version go1.27.0 linux/amd64")
    }
    assert len(keys) == 4
    assert (
        programs.plan(catalogue, ["kubeadm"], "go")[0].key
        == programs.plan(catalogue, ["kubeadm"], "go")[0].key
    )


def test_a_changed_checksum_file_changes_the_key(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module tools\n")
    (tmp_path / "go.sum").write_text("a v1 h1:x\n")
    before = programs.module_key(tmp_path)
    (tmp_path / "go.sum").write_text("a v1 h1:y\n")
    assert programs.module_key(tmp_path) != before


def test_nothing_in_the_environment_switches_the_checks_off() -> None:
    weak = {"GONOSUMDB": "*", "GOFLAGS": "-mod=mod", "GONOSUMCHECK": "1", "GOINSECURE": "*", "PATH": "/bin"}
    assert programs.go_environment(cgo=False, environment={**weak, "GOSUMDB": "off"}) == {
        "PATH": "/bin",
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": "amd64",
        "GOWORK": "off",
    }


def test_a_program_damaged_in_the_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "built").write_bytes(b"program")
    programs.keep(tmp_path / "built", tmp_path / "tool-1")
    assert programs.checked(tmp_path / "tool-1") == tmp_path / "tool-1"
    (tmp_path / "tool-1").write_bytes(b"progrbm")
    with pytest.raises(PlatformError, match="damaged") as refused:
        programs.checked(tmp_path / "tool-1")
    assert f"rm {tmp_path / 'tool-1'}" in refused.value.next


def test_a_machine_without_go_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PlatformError) as refused:
        programs.go_version()
    assert "artifacts_source" in refused.value.next


@pytest.fixture
def modules(tmp_path: Path, quiet: Output) -> tuple[Modules, Progress]:
    """The source `modules` with one program, in an empty cache."""
    catalogue = Catalogue.model_validate(
        {
            "stamps": {},
            "programs": {"tool": {"version": "1", "go": {"package": "tool.example/tool"}}},
            "roots": {},
            "images": {},
        }
    )
    return Modules(catalogue, tmp_path, tmp_path / "toolchain"), Progress(quiet, tmp_path / "durations.json")


def without_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "has_go", lambda: False)


def with_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Go that builds every program at once."""
    monkeypatch.setattr(programs, "has_go", lambda: True)
    monkeypatch.setattr(programs, "go_version", lambda: "go version go1.26.8 linux/amd64")

    def build(_catalogue: Catalogue, builds: list[programs.Build], folder: Path, progress: Progress) -> None:
        for item in builds:
            (folder / item.filename).write_bytes(b"program")
            progress.done(programs.step_name(item.name))

    monkeypatch.setattr(programs, "build", build)


def test_what_is_built_needs_no_go(
    modules: tuple[Modules, Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, progress = modules
    with_go(monkeypatch)
    source.provide(source.workshop(), {"tool"}, progress)
    keys = source.workshop().programs
    without_go(monkeypatch)
    workshop = source.workshop()
    assert workshop.programs == keys
    source.provide(workshop, {"tool"}, progress)


def test_go_is_asked_for_when_something_must_be_built(
    modules: tuple[Modules, Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, progress = modules
    without_go(monkeypatch)
    workshop = source.workshop()
    source.provide(workshop, (), progress)
    with pytest.raises(PlatformError, match="no `go` is on PATH"):
        source.provide(workshop, {"tool"}, progress)
