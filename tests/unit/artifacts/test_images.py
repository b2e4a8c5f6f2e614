import ast
from pathlib import Path

from platformctl.artifacts.catalogue import Pull, load
from platformctl.artifacts.images import SOURCES, Workshop, image_key, source_files
from platformctl.artifacts.layers import BlobStore


def imported(text: str) -> set[str]:
    """The modules of platformctl that a module imports when it runs."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("platformctl"):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_the_router_image_carries_every_module_that_it_imports() -> None:
    files = source_files()
    assert "router/__main__.py" in files
    for name, path in files.items():
        for module in imported(path.read_text()):
            relative = module.removeprefix("platformctl").lstrip(".").replace(".", "/")
            own = SOURCES / f"{relative}.py"
            assert not own.exists() or f"{relative}.py" in files, f"{name} imports {module}"


def test_the_key_of_an_image_follows_its_programs_and_settings(tmp_path: Path) -> None:
    catalogue = load()
    name = "registry.k8s.io/pause"

    def key(program: str) -> str:
        programs = {"pause": (program, tmp_path / "pause")}
        return image_key(Workshop(catalogue, tmp_path, BlobStore(tmp_path), programs), name)

    assert key("one") == key("one") != key("two")


def test_evidence_is_no_part_of_the_key_of_an_image(tmp_path: Path) -> None:
    catalogue = load()
    name = "registry.k8s.io/pause"
    image = catalogue.images[name]
    told = image.model_copy(update={"upstream": Pull(evidence="read on another day, by another person")})
    changed = catalogue.model_copy(update={"images": {**catalogue.images, name: told}})
    programs = {"pause": ("one", tmp_path / "pause")}
    keys = {
        image_key(Workshop(one, tmp_path, BlobStore(tmp_path), programs), name)
        for one in (catalogue, changed)
    }
    assert len(keys) == 1
