import re

import pytest
from pydantic import ValidationError

from platformctl.artifacts import charts, wheels
from platformctl.artifacts.catalogue import Catalogue, load
from platformctl.artifacts.programs import MODULES, linker_flags


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def required(module: str) -> dict[str, str]:
    text = (MODULES / module / "go.mod").read_text()
    return dict(re.findall(r"^(?:require)?\s+(\S+/\S+) v(\S+)", text, re.MULTILINE))


def test_versions_are_those_that_the_go_modules_pin(catalogue: Catalogue) -> None:
    checked = 0
    for name, program in catalogue.programs.items():
        if program.go:
            pins = required(program.go.module)
            owners = [path for path in pins if f"{program.go.package}/".startswith(f"{path}/")]
            assert pins[max(owners, key=len)] == program.version, name
            checked += 1
    assert checked >= 15


def test_every_module_has_its_checksums() -> None:
    for folder in MODULES.iterdir():
        sums = (folder / "go.sum").read_text()
        for path, version in required(folder.name).items():
            replaced = path.startswith(("k8s.io/", "github.com/tencentcloud/"))
            assert replaced or f"{path} v{version}" in sums


def test_images_carry_the_version_of_their_program(catalogue: Catalogue) -> None:
    for name, image in catalogue.images.items():
        for program in list(image.programs)[:1]:
            version = catalogue.programs[program].version
            assert re.fullmatch(rf"v?{re.escape(version)}(-\d+)?", image.tag), name


def test_hosts_get_what_kubeadm_needs(catalogue: Catalogue) -> None:
    assert {"kubeadm", "kubelet", "kubectl", "flannel-cni", "etcdctl", "helm"} == set(catalogue.delivered())
    for component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        assert catalogue.images[f"registry.k8s.io/{component}"].tag == (
            f"v{catalogue.programs['kubeadm'].version}"
        )


def test_downloads_name_the_version(catalogue: Catalogue) -> None:
    for name, program in catalogue.published().delivered().items():
        assert program.upstream is not None
        assert program.version in program.upstream.url, name
        assert program.upstream.url.startswith("https://")
        assert "{" not in f"{program.upstream.url}{program.upstream.member}"


def test_publishers_have_versions_and_tags_of_their_own(catalogue: Catalogue) -> None:
    published = catalogue.published()
    assert catalogue.programs["etcdctl"].version == "3.7.3"
    assert published.programs["etcdctl"].version == "3.7.0"
    assert published.images["registry.k8s.io/etcd"].tag == "3.7.0-0"
    assert published.images["registry.k8s.io/coredns/coredns"].tag == "v1.14.6"
    assert published.images["registry.k8s.io/pause"].tag == catalogue.images["registry.k8s.io/pause"].tag


def test_etcdctl_is_of_the_version_of_etcd(catalogue: Catalogue) -> None:
    for found in (catalogue, catalogue.published()):
        assert found.images["registry.k8s.io/etcd"].tag == f"{found.programs['etcdctl'].version}-0"


def test_versions_are_stamped_by_the_linker(catalogue: Catalogue) -> None:
    flags = linker_flags(catalogue, catalogue.programs["kubelet"])
    assert "-X k8s.io/component-base/version.gitVersion=v1.37.2" in flags


def test_every_lock_of_wheels_has_hashes(catalogue: Catalogue) -> None:
    names = {image.wheels for image in catalogue.images.values() if image.wheels}
    assert names == {folder.name for folder in wheels.LOCKS.iterdir()}
    for name in names:
        text = wheels.lock_path(name).read_text()
        packages = re.findall(r"^[a-z0-9._-]+==", text, re.MULTILINE)
        assert packages
        assert text.count("--hash=sha256:") >= len(packages)
        assert "index-url" not in text


def test_charts_that_take_definitions_exist(catalogue: Catalogue) -> None:
    assert set(catalogue.chart_crds) <= set(charts.find_charts())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"programs": {"x": {"version": "1", "go": {"package": "a/b", "stamp": "none"}}}}, "no stamp none"),
        ({"images": {"a/b": {"tag": "1", "ours": True, "programs": {"nothing": "x"}}}}, "unknown program"),
        ({"images": {"a/b": {"tag": "1"}}}, "exactly one of ours and upstream"),
        ({"images": {"a/b": {"tag": "1", "upstream": {}}}}, "evidence"),
        ({"images": {"a/b": {"tag": "1", "upstream": {"evidence": "sure"}}}}, "at least 20 characters"),
        ({"images": {"a/b": {"tag": "1", "ours": True, "upstream": {"evidence": "e" * 20}}}}, "exactly one"),
        ({"programs": {"x": {"version": "1", "go": {"package": "a"}, "upstream": {"url": "u"}}}}, "evidence"),
        ({"images": {"a/b": {"tag": "1", "colour": "red"}}}, "colour"),
        ({"programs": {"x": {"version": "1"}}}, "exactly one of go and c"),
        ({"programs": {"x": {"version": "1", "for": "hosts", "go": {"package": "a/b"}}}}, "needs upstream"),
    ],
)
def test_a_contradictory_catalogue_is_refused(change: dict[str, object], message: str) -> None:
    empty: dict[str, object] = {"stamps": {}, "programs": {}, "roots": {}, "images": {}}
    with pytest.raises(ValidationError, match=message):
        Catalogue.model_validate({**empty, **change})
