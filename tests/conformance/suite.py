"""The conformance suite and the programs inside its images, built once for each state of gomodule/."""

from pathlib import Path

from platformctl.artifacts.catalogue import load
from platformctl.artifacts.hashing import hash_value
from platformctl.artifacts.process import run
from platformctl.artifacts.programs import (
    GO_FLAGS,
    checked,
    go_environment,
    go_version,
    keep,
    module_key,
    plan,
)

MODULE = Path(__file__).with_name("gomodule")
_VERSION = load().programs["kubelet"].version
_STAMPS = {"gitVersion": f"v{_VERSION}", "gitMajor": "1", "gitMinor": _VERSION.split(".")[1]}
_FLAGS = " ".join(["-s", "-w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in _STAMPS.items())])
# By name: the Go package. Go calls the tests of a package <package>.test.
PACKAGES = {
    "e2e.test": "k8s.io/kubernetes/test/e2e",
    "ginkgo": "github.com/onsi/ginkgo/v2/ginkgo",
    "agnhost": "k8s.io/kubernetes/test/images/agnhost",
    "sample-apiserver": "k8s.io/sample-apiserver",
}


def program(name: str, cache: Path) -> Path:
    """One of PACKAGES as a static program, built if the cache does not have it."""
    key = hash_value([name, PACKAGES[name], module_key(MODULE), go_version(), GO_FLAGS, _FLAGS])
    path = cache / f"{name}-{key[:16]}"
    if path.exists():
        return checked(path)
    cache.mkdir(parents=True, exist_ok=True)
    verb = ["test", "-c"] if name.endswith(".test") else ["build"]
    partial = path.with_name(f".{path.name}.partial")
    run(
        ["go", *verb, *GO_FLAGS, f"-ldflags={_FLAGS}", "-o", str(partial), PACKAGES[name]],
        folder=MODULE,
        environment=go_environment(cgo=False),
        remedy="make conformance builds again what is missing",
    )
    keep(partial, path)
    return path


def own_program(name: str, artifacts: Path) -> Path:
    """A program of the platform's own catalogue, from the cache that `artifacts fetch` filled."""
    [build] = plan(load(), [name], go_version())
    return checked(artifacts / "programs" / build.filename)


def module_folder(name: str = "k8s.io/kubernetes") -> Path:
    """Where Go keeps the sources of a module that gomodule/ requires."""
    command = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", name]
    return Path(run(command, folder=MODULE, environment=go_environment(cgo=False)).strip())
