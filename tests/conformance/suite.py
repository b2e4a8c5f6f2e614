"""The conformance suite and the programs inside its images; their go.mod and go.sum are the locks."""

from pathlib import Path

from platformctl.artifacts.catalogue import load
from platformctl.artifacts.process import run
from platformctl.artifacts.programs import go_environment, module_sources
from tests import gobuild, programs

_HERE = Path(__file__).parent
_VERSION = load().programs["kubelet"].version
_STAMPS = {"gitVersion": f"v{_VERSION}", "gitMajor": "1", "gitMinor": _VERSION.split(".")[1]}
_FLAGS = " ".join(["-s", "-w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in _STAMPS.items())])
# By name: the folder of the module that pins it, and the Go package.
PACKAGES = {
    "e2e.test": ("gomodule", "k8s.io/kubernetes/test/e2e"),
    "ginkgo": ("gomodule", "github.com/onsi/ginkgo/v2/ginkgo"),
    "agnhost": ("gomodule", "k8s.io/kubernetes/test/images/agnhost"),
    "nonewprivs": ("gomodule", "k8s.io/kubernetes/test/images/nonewprivs"),
    # The suite runs one of Kubernetes 1.29: a later one reads what its role does not allow.
    "sample-apiserver": ("sample-apiserver", "k8s.io/sample-apiserver"),
}


def program(name: str) -> Path:
    """One of PACKAGES, or a program of the platform's own catalogue that `artifacts fetch` built."""
    if name in PACKAGES:
        module, package = PACKAGES[name]
        return gobuild.program(_HERE / module, name, package, _FLAGS)
    return programs.program(name)


def kubernetes() -> Path:
    """The folder of the module k8s.io/kubernetes, which is downloaded where nothing was built from it yet."""
    module = _HERE / "gomodule"
    run(["go", "mod", "download", "k8s.io/kubernetes"], folder=module, environment=go_environment(cgo=False))
    return module_sources(module, "k8s.io/kubernetes")
