"""What roles declare, put together: types, defaults, who needs what, on a product of three roles."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from platformctl.site.documentation import markdown
from platformctl.site.schema import adapters, json_schema
from platformctl.site.variables import known, roles

ROLES: dict[str, dict[str, Any]] = {
    "shop": {
        "shop_port": {"type": "int", "required": True, "description": "Port of C(shop), see V(80)."},
        "shop_items": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {"required": True}, "count": {"type": "int", "default": 1}, "note": None},
        },
        "town_name": {"description": "Name."},
        "town_kind": {"choices": ["small", "large"], "description": ["First.", "Second."]},
        "shop_sign": {"type": "path", "description": "Short."},
        "town_map": {"type": "dict", "options": {"north": {}}},
        "secret_till": {"required": True},
        "town_size": {"type": "float", "description": "How large it is; larger | smaller ones differ."},
        "site_name": {},
        "slurm_partitions": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {}, "rows": {"type": "list", "elements": "dict", "options": {"name": {}}}},
        },
    },
    "bank": {
        "bank_money": {"type": "dict", "required": True},
        "town_name": {"required": True, "default": "here", "description": "The name that the town has."},
        "town_kind": {"description": "Much longer, and yet without the choices."},
        "shop_sign": {"description": "Long, but of a role that is not the variable's own."},
        "town_map": {"type": "raw", "description": "Long, but without its keys."},
        "bank_pair": {"type": "list", "choices": ["a", "b"]},
        "bank_any": {"type": "list"},
        "town_size": {"type": "float", "required": True, "default": 2.5},
    },
    "tool": {"tool_file": {"required": True}, "tool_mode": {"default": 7}, "other_file": {"required": True}},
}
PLAYS = [
    {"hosts": "shops[0]", "roles": ["shop"]},
    {"hosts": "banks:&towns", "roles": [{"role": "bank"}, {"name": "shop"}]},
    {"hosts": "all", "tasks": []},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, options in ROLES.items():
        (tmp_path / "roles" / name / "meta").mkdir(parents=True)
        specs = {"argument_specs": {"main": {"options": options}, "reset": {"options": {}}, "empty": None}}
        (tmp_path / "roles" / name / "meta" / "argument_specs.yml").write_text(
            yaml.safe_dump(specs, sort_keys=False)
        )
    (tmp_path / "roles" / "bank" / "defaults").mkdir()
    (tmp_path / "roles" / "bank" / "defaults" / "main.yml").write_text("bank_money: {}")
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "a.yml").write_text(yaml.safe_dump(PLAYS))
    (tmp_path / "playbooks" / "empty.yml").write_text("")
    return tmp_path


def test_roles_are_for_the_groups_of_their_plays(data: Path) -> None:
    assert {role.name: set(role.groups) for role in roles(data)} == {
        "shop": {"shops", "banks"},
        "bank": {"banks"},
        "tool": set(),
    }


def test_an_inventory_must_give_what_has_no_default_and_is_no_secret(data: Path) -> None:
    assert {role.name: set(role.required()) for role in roles(data)} == {
        "shop": {"shop_port"},
        "bank": {"town_name", "town_size"},
        "tool": {"tool_file", "other_file"},
    }


def test_what_callers_give_to_a_role_is_no_variable_of_the_inventory(data: Path) -> None:
    assert {role.name: set(role.parameters()) for role in roles(data)} == {
        "shop": set(),
        "bank": set(),
        "tool": {"tool_file"},
    }
    assert "tool_file" not in known(data)
    assert {"tool_mode", "other_file"} <= set(known(data))
    assert list(known(data)) == sorted(known(data))


def test_declarations_of_one_variable_are_put_together(data: Path) -> None:
    name, kind = known(data)["town_name"], known(data)["town_kind"]
    assert (name.description, name.default, name.required) == ("The name that the town has.", "here", True)
    assert (name.roles, kind.roles) == (("bank", "shop"), ("bank", "shop"))
    assert (kind.description, kind.choices) == (
        "Much longer, and yet without the choices.",
        ("small", "large"),
    )
    assert (kind.required, kind.has_default) == (False, False)
    size = known(data)["town_size"]
    assert (size.description[:16], size.default, size.required) == ("How large it is;", 2.5, True)


def test_the_more_detailed_declaration_counts(data: Path) -> None:
    sign, town_map = known(data)["shop_sign"], known(data)["town_map"]
    assert (sign.type, sign.description, sign.roles) == ("path", "Short.", ("bank", "shop"))
    assert (town_map.type, [option.name for option in town_map.options]) == ("dict", ["north"])


def test_a_declaration_is_read_whole(data: Path) -> None:
    port, items = known(data)["shop_port"], known(data)["shop_items"]
    assert (port.type, port.required, port.description) == ("int", True, "Port of shop, see 80.")
    assert (port.roles, port.secret, port.has_default) == (("shop",), False, False)
    assert (items.type, items.elements, items.required) == ("list", "dict", False)
    assert [(option.name, option.type, option.required) for option in items.options] == [
        ("name", "str", True),
        ("count", "int", False),
        ("note", "str", False),
    ]
    assert known(data)["secret_till"].secret
    assert known(data)["town_kind"].description
    (shop,) = (role for role in roles(data) if role.name == "shop")
    assert shop.variables["town_kind"].description == "First. Second."


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("shop_port", 80, ""),
        ("shop_port", "high", "int_type"),
        ("shop_items", [{"name": "a"}, {"name": "b", "count": 2}], ""),
        ("shop_items", [{"count": 2}], "missing"),
        ("shop_items", [{"name": "a", "cuont": 2}], "extra_forbidden"),
        ("town_kind", "large", ""),
        ("town_kind", "huge", "literal_error"),
        ("bank_pair", ["a", "b", "a"], ""),
        ("bank_pair", ["c"], "literal_error"),
        ("bank_money", {"any": [1]}, ""),
        ("bank_money", [1], "dict_type"),
        ("town_name", 7, "string_type"),
        ("town_map", {"north": "ice"}, ""),
        ("town_map", {"south": "ice"}, "extra_forbidden"),
        ("town_map", "ice", "model_type"),
        ("bank_any", [1, "a", None], ""),
        ("bank_any", {}, "list_type"),
        # Judged by more than its type, also as a key of a mapping; elsewhere a key of that name is free.
        ("site_name", "north", ""),
        ("site_name", "north!", "site"),
        ("slurm_partitions", [{"name": "all"}], ""),
        ("slurm_partitions", [{"name": "a b"}], "site"),
        ("slurm_partitions", [{"rows": [{"name": "a b"}]}], ""),
    ],
)
def test_a_value_is_judged_by_its_declaration(data: Path, name: str, value: object, error: str) -> None:
    kinds = []
    try:
        adapters(data)[name].validate_python(value)
    except ValueError as found:
        kinds = [detail["type"] for detail in found.errors()]  # type: ignore[attr-defined]
    assert kinds == ([error] if error else [])


def test_a_name_is_judged_in_words_that_say_how_to_write_it(data: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        adapters(data)["site_name"].validate_python("North")
    (error,) = caught.value.errors()
    assert error["msg"] == "is not a DNS label of at most 56 characters"
    assert error["ctx"] == {
        "problem": "is not a DNS label of at most 56 characters",
        "remedy": "use 1 to 56 of a-z, 0-9 and -, with a letter or digit at both ends",
    }


@pytest.mark.filterwarnings("error")
def test_the_schema_for_editors(data: Path) -> None:
    names = ("shop_port", "shop_items", "town_name", "bank_pair", "site_name", "slurm_partitions")
    assert json_schema([known(data)[name] for name in names], "Town") == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            "shop_items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "count": {"type": "integer", "default": 1},
                    "note": {"type": "string"},
                },
                "required": ["name"],
            },
            "slurm_partitions": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"},
                    "rows": {"type": "array", "items": {"$ref": "#/$defs/slurm_partitions_rows"}},
                },
            },
            "slurm_partitions_rows": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"name": {"type": "string"}},
            },
        },
        "type": "object",
        "additionalProperties": False,
        "patternProperties": {"^x_": {}},
        "properties": {
            "shop_port": {"type": "integer", "description": "Port of shop, see 80."},
            "shop_items": {"type": "array", "items": {"$ref": "#/$defs/shop_items"}},
            "town_name": {"type": "string", "default": "here", "description": "The name that the town has."},
            "bank_pair": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            "site_name": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,54}[a-z0-9])?$"},
            "slurm_partitions": {"type": "array", "items": {"$ref": "#/$defs/slurm_partitions"}},
        },
    }


_PAGE = """Each item of `slurm_partitions` has:

| key | type | default | meaning |
|---|---|---|---|
| `name` | text |  |  |
| `rows` | list of mapping |  |  |

## Bank

| variable | type | default | meaning | read by |
|---|---|---|---|---|
| `bank_any` | list of any |  |  | bank |
| `bank_money` | mapping | required |  | bank |
| `bank_pair` | list of `a` or `b` |  |  | bank |

## Other

| variable | type | default | meaning | read by |
|---|---|---|---|---|
| `other_file` | text | required |  | tool |

## Shop

| variable | type | default | meaning | read by |
|---|---|---|---|---|
| `shop_items` | list of mapping |  |  | shop |
| `shop_port` | number | required | Port of shop, see 80. | shop |
| `shop_sign` | path |  | Short. | bank, shop |

Each item of `shop_items` has:

| key | type | default | meaning |
|---|---|---|---|
| `name` | text | required |  |
| `count` | number | `1` |  |
| `note` | text |  |  |

## Tool

| variable | type | default | meaning | read by |
|---|---|---|---|---|
| `tool_mode` | text | `7` |  | tool |

## Town

| variable | type | default | meaning | read by |
|---|---|---|---|---|
| `town_kind` | `small` or `large` |  | Much longer, and yet without the choices. | bank, shop |
| `town_map` | mapping |  |  | bank, shop |
| `town_name` | text | required | The name that the town has. | bank, shop |
| `town_size` | number | required | How large it is; larger \\| smaller ones differ. | bank, shop |

The mapping of `town_map` has:

| key | type | default | meaning |
|---|---|---|---|
| `north` | text |  |  |

"""


def test_the_page_of_variables(data: Path) -> None:
    page = markdown(data)
    assert page[page.index("Each item of `slurm_partitions`") : page.index("## Secrets")] == _PAGE
