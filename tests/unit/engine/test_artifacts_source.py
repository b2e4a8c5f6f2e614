"""Where artifacts come from when the inventory does not say: the engine and the roles agree."""

from pathlib import Path

import jinja2
import pytest
import yaml

from platformctl import paths
from platformctl.engine.fleet import Fleet
from platformctl.site.variables import known

DATA = paths.data_dir()
STORES = [path for name in ("vars", "defaults") for path in sorted(DATA.glob(f"roles/*/{name}/main.yml"))]
STORES = [path for path in STORES if "artifacts_source" in path.read_text()]


def test_the_declared_default_is_the_engines() -> None:
    assert (
        known(DATA)["artifacts_source"].default == Fleet("lab", Path("/inventory"), {}, {}).artifacts_source
    )


@pytest.mark.parametrize("path", STORES, ids=lambda path: path.parts[-3])
def test_a_roles_store_is_the_engines(path: Path) -> None:
    (text,) = (
        value for value in yaml.safe_load(path.read_text()).values() if "artifacts_source" in str(value)
    )
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)
    environment.globals["lookup"] = lambda _, name: {"HOME": "/home/alice"}.get(name, "")
    source = Fleet("lab", Path("/inventory"), {}, {}).artifacts_source
    expected = f"/home/alice/.cache/platformctl/store/{source}"
    assert environment.from_string(text).render() == expected
    assert environment.from_string(text).render(artifacts_source="mirror").endswith("/store/mirror")
