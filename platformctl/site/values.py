"""Checks of single values: unknown names, wrong types, secrets in plain text; one mistake for each."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from platformctl.site.inventory import ALL, Inventory, Source
from platformctl.site.mistakes import Mistake, use_instead
from platformctl.site.reading import Vaulted
from platformctl.site.schema import OWN_PREFIX, adapters
from platformctl.site.variables import Variable, known

_SITE_WIDE = (
    "site_name",
    "site_domain",
    "users_groups",
    "users_accounts",
    "kubernetes_provider",
    "kubernetes_kubeconfig",
    "kubernetes_context",
    "kubernetes_image_registry",
    "slurm_rest_url",
    "slurm_rest_certificate_authority",
    "kubernetes_pod_network",
    "kubernetes_service_network",
    "slurm_cluster_name",
    "slurm_partitions",
    "registry_port",
    "artifacts_source",
)
_CONFIDENTIAL = ("ansible_become_password", "slurm_accounting_database_root_password")


def templated(value: Any) -> bool:
    """Whether Ansible computes the value only at run time, so that it cannot be checked before."""
    return isinstance(value, Vaulted) or (isinstance(value, str) and ("{{" in value or "{%" in value))


def check_values(inventory: Inventory, data: Path) -> Iterator[Mistake]:
    """Mistakes in single values, at all places."""
    types = adapters(data)
    for source in inventory.sources():
        for name, value in source.values.items():
            if not str(name).startswith(OWN_PREFIX):
                yield from _check(source, str(name), value, types, known(data))


def _check(
    source: Source,
    name: str,
    value: Any,
    types: Mapping[str, TypeAdapter[Any]],
    variables: Mapping[str, Variable],
) -> Iterator[Mistake]:
    if name not in variables:
        remedy = use_instead(
            name, variables, f"remove it, or call it {OWN_PREFIX}{name} if it is the site's own"
        )
        yield source.mistake((name,), None, "is not a variable of platformctl", remedy)
        return
    if name in _SITE_WIDE and source.entity != ALL:
        remedy = "move it to group_vars/all"
        yield source.mistake((name,), value, "holds for the whole site, not for some hosts", remedy)
    if (variables[name].secret or name in _CONFIDENTIAL) and not isinstance(value, Vaulted):
        remedy = (
            "remove it: platformctl makes it in secrets.vault"
            if variables[name].secret
            else "encrypt it with ansible-vault encrypt_string"
        )
        if not templated(value):
            yield source.mistake((name,), None, "is a secret in plain text", remedy)
            return
    if templated(value):
        return
    try:
        types[name].validate_python(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if not templated(detail["input"]):
                yield _translate(source, name, detail, variables[name])


def _translate(source: Source, name: str, detail: ErrorDetails, variable: Variable) -> Mistake:
    keys = (name, *detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        options = [option.name for option in variable.options]
        remedy = use_instead(str(keys[-1]), options, f"known are {', '.join(options)}")
        return source.mistake(keys, None, "is not a key of this variable", remedy)
    if kind == "missing":
        return source.mistake(keys, None, "is missing", f"add {keys[-1]} here")
    if detail["input"] is None:
        return source.mistake(keys, None, "has no value", "give it one, or remove the line")
    problem, remedy = _WORDS.get(kind, _unforeseen)(detail)
    return source.mistake(keys, detail["input"], problem, remedy)


def _unforeseen(detail: ErrorDetails) -> tuple[str, str]:
    return detail["msg"][:1].lower() + detail["msg"][1:], "see: platformctl docs variables"


def _fixed(problem: str, remedy: str) -> Callable[[ErrorDetails], tuple[str, str]]:
    return lambda detail: (problem, remedy)


def _limit(sign: str, key: str) -> Callable[[ErrorDetails], tuple[str, str]]:
    return lambda detail: (f"must be {sign} {detail['ctx'][key]}", "choose a number within the limits")


_WORDS: Mapping[str, Callable[[ErrorDetails], tuple[str, str]]] = {
    "site": lambda detail: (detail["ctx"]["problem"], detail["ctx"]["remedy"]),
    "literal_error": lambda detail: ("is not allowed", f"use {detail['ctx']['expected']}"),
    "string_type": _fixed("is not a text", "put it in quotes"),
    "int_type": _fixed("is not a whole number", "write a whole number, without quotes"),
    "float_type": _fixed("is not a number", "write a number, without quotes"),
    "bool_type": _fixed("is neither true nor false", "write true or false, without quotes"),
    "list_type": _fixed("is not a list", "write `- item` lines, or [item, item]"),
    "dict_type": _fixed("is not a mapping", "write `key: value` lines, or {key: value}"),
    "model_type": _fixed("is not a mapping", "write `key: value` lines, or {key: value}"),
    "greater_than_equal": _limit("at least", "ge"),
    "less_than_equal": _limit("at most", "le"),
}
