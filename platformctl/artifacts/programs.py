"""The source `modules`: programs built from Go modules, and the few C files among them.

go.mod and go.sum in gomodules/ are the lock: -mod=readonly refuses anything they do not name, and go
checks each module against go.sum, whose lines were checked against the Go checksum database.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from platformctl import surroundings
from platformctl.artifacts.catalogue import PACKAGE, Catalogue, CSource, Program
from platformctl.artifacts.hashing import hash_file, hash_value
from platformctl.artifacts.process import run
from platformctl.artifacts.progress import Progress
from platformctl.errors import PlatformError

MODULES = PACKAGE / "gomodules"
GO_FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")
# With these tags `net` and `os/user` are the same with and without cgo: a cgo build reuses what is compiled.
CGO_TAGS = "netgo,osusergo"
STATIC_C = ("-O2", "-static", "-s", "-Wl,--build-id=none")


@dataclass(frozen=True)
class Build:
    """One program to make: its name, recipe, and the key of everything that its bytes depend on."""

    name: str
    program: Program
    key: str

    @property
    def filename(self) -> str:
        """Name in the cache."""
        return f"{self.name}-{self.key[:16]}"


def plan(catalogue: Catalogue, names: Iterable[str], toolchain: str) -> list[Build]:
    """The builds of the named programs. toolchain: the output of `go version`."""
    modules = {folder.name: module_key(folder) for folder in MODULES.iterdir() if folder.is_dir()}
    builds = []
    for name in names:
        program = catalogue.programs[name]
        module = program.go.module if program.go else "tools"
        # How it is linked is in its flags.
        made = program.model_dump(include={"version", "go", "c"}, exclude={"go": {"dynamic"}})
        recipe = [made, linker_flags(catalogue, program)]
        key = hash_value([recipe, modules[module], toolchain, GO_FLAGS, CGO_TAGS, STATIC_C])
        builds.append(Build(name, program, key))
    return builds


def module_key(folder: Path) -> str:
    """Digest of a module's lock."""
    return hash_value([hash_file(folder / "go.mod"), hash_file(folder / "go.sum")])


def module_sources(folder: Path, name: str) -> Path:
    """Where Go keeps the sources of a module. folder: of the module that requires it."""
    command = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", name]
    return Path(run(command, folder=folder, environment=go_environment(cgo=False)).strip())


def has_go() -> bool:
    """Whether `go` is on PATH."""
    return shutil.which("go") is not None


def go_version() -> str:
    """The output of `go version`. Raises PlatformError if there is no Go."""
    if not has_go():
        raise PlatformError(
            "the source `modules` builds programs with Go, and no `go` is on PATH",
            next="install Go 1.26 or newer, or set artifacts_source: upstream or mirror",
        )
    return run(["go", "version"]).strip()


def linker_flags(catalogue: Catalogue, program: Program) -> str:
    """The -ldflags of a program: no symbol table, its version stamped, static where cgo allows it."""
    flags = ["-s", "-w"]
    if program.go and program.go.stamp:
        stamps = catalogue.stamps[program.go.stamp]
        flags += [f"-X {name}={value.format(version=program.version)}" for name, value in stamps.items()]
    if program.go and program.go.cgo and not program.go.dynamic:
        flags += ["-extldflags -static"]
    return " ".join(flags)


def build(catalogue: Catalogue, builds: list[Build], destination: Path, progress: Progress) -> None:
    """Make the programs as destination/<filename>.

    Programs share one `go build` command if they may, because linking then overlaps with compilation.
    """
    groups: dict[tuple[str, bool, str], list[Build]] = {}
    for item in builds:
        if go := item.program.go:
            groups.setdefault((go.module, go.cgo, item.name if go.apart else ""), []).append(item)
    for (module, cgo, _), group in groups.items():
        build_go(catalogue, group, module, cgo, destination, progress)
    for item in builds:
        if item.program.c:
            with progress.step(step_name(item.name)):
                build_c(item, item.program.c, destination)


def step_name(program: str) -> str:
    """The progress step of a program."""
    return f"program:{program}"


def build_go(
    catalogue: Catalogue, group: list[Build], module: str, cgo: bool, destination: Path, progress: Progress
) -> None:
    """Run one `go build` for main packages of one module."""
    packages = {item.program.go.package: item for item in group if item.program.go}
    outputs = {_output_name(package): item for package, item in packages.items()}
    scratch = destination / ".building"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    command = ["go", "build", *GO_FLAGS, f"-p={os.cpu_count() or 1}", "-o", f"{scratch}/"]
    command += ["-tags", CGO_TAGS] if cgo else []
    command += [f"-ldflags={name}={linker_flags(catalogue, item.program)}" for name, item in packages.items()]

    def collect() -> None:
        for output, item in list(outputs.items()):
            # go moves a program to its name only once it is linked.
            if (scratch / output).exists():
                keep(scratch / output, destination / item.filename)
                del outputs[output]
                progress.done(step_name(item.name))
        progress.tick()

    progress.start(f"building {', '.join(item.name for item in group)}")
    try:
        run(
            [*command, *packages],
            folder=MODULES / module,
            environment=go_environment(cgo),
            remedy="platformctl artifacts fetch continues where it stopped",
            idle=collect,
        )
        collect()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def keep(built: Path, destination: Path) -> None:
    """Move a built program into the cache, with its digest beside it."""
    destination.with_name(destination.name + ".sha256").write_text(hash_file(built))
    built.replace(destination)


def checked(program: Path) -> Path:
    """A program in the cache. Raises PlatformError if it is not what was built."""
    if hash_file(program) != program.with_name(program.name + ".sha256").read_text():
        raise PlatformError(
            "a built program in the cache was damaged",
            where=str(program),
            next=f"rm {program} && platformctl artifacts fetch",
        )
    return program


def go_environment(cgo: bool, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without what could weaken the checks or change the result."""
    environment = surroundings.outward() if environment is None else environment
    dropped = {"GOFLAGS", "GONOSUMDB", "GONOSUMCHECK", "GOINSECURE", "GOWORK"}
    if environment.get("GOSUMDB") == "off":
        dropped.add("GOSUMDB")
    kept = {name: value for name, value in environment.items() if name not in dropped}
    return {**kept, "CGO_ENABLED": "1" if cgo else "0", "GOOS": "linux", "GOARCH": "amd64", "GOWORK": "off"}


def build_c(item: Build, recipe: CSource, destination: Path) -> None:
    """Compile one static C file taken from the Go module cache."""
    sources = module_sources(MODULES / "tools", recipe.module)
    partial = destination / f"{item.filename}.partial"
    version = f"-DVERSION={item.program.version}"
    run(
        ["gcc", *STATIC_C, version, "-o", str(partial), str(sources / recipe.source)],
        remedy="install gcc and libc6-dev",
    )
    keep(partial, destination / item.filename)


def _output_name(package: str) -> str:
    """The file name `go build -o dir/` chooses: the last path element that is not a major version."""
    parts = package.split("/")
    last = parts[-1]
    return parts[-2] if last.startswith("v") and last[1:].isdigit() else last
