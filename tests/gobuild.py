"""Programs that only tests need, built from Go modules of their own and kept in the cache of artefacts."""

from pathlib import Path

from platformctl.artifacts.hashing import hash_value
from platformctl.artifacts.process import run
from platformctl.artifacts.programs import GO_FLAGS, checked, go_environment, go_version, keep, module_key
from platformctl.paths import cache_dir


def program(module: Path, name: str, package: str, linker_flags: str = "-s -w") -> Path:
    """A static program of a package, or its tests if the name ends in .test, as Go calls them.

    module: a folder whose go.mod and go.sum are the lock. Built once for each state of what it is made of.
    """
    key = hash_value([name, package, module_key(module), go_version(), GO_FLAGS, linker_flags])
    path = cache_dir() / "artifacts/programs" / f"{name}-{key[:16]}"
    if path.exists():
        return checked(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    verb = ["test", "-c"] if name.endswith(".test") else ["build"]
    partial = path.with_name(f".{path.name}.partial")
    run(
        ["go", *verb, *GO_FLAGS, f"-ldflags={linker_flags}", "-o", str(partial), package],
        folder=module,
        environment=go_environment(cgo=False),
        remedy="the same command builds again what is missing",
    )
    keep(partial, path)
    return path
