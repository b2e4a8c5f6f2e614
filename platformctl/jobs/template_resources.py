"""Reads what containers request, and adds up what a pod of several needs of a node."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from platformctl.jobs.field_reader import FieldReader
from platformctl.jobs.model import Container, Resources, Target
from platformctl.jobs.quantity import ceiling, parse_quantity
from platformctl.vocabulary import GPU

MAX_CPUS, MAX_MEMORY, MAX_GPUS = 8192, 64 * 1024**4, 1024
MAX_DEVICES = 100_000
LOCAL_DISK = "ephemeral-storage"

# Names with a domain are devices; those of kubernetes.io are not the users' to ask for.
_DEVICE = re.compile(
    r"(?!(?:.*\.)?kubernetes\.io/)[a-z0-9.-]{1,253}/[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII
)
_PAGES = re.compile(r"hugepages-[0-9]{1,4}[KMG]i", re.ASCII)
_MOST = {"cpu": MAX_CPUS, "memory": MAX_MEMORY, GPU: MAX_GPUS}
_LEVELS = ("requests", "limits")


def read_resources(fields: FieldReader, value: Any, path: str) -> Resources:
    """The requests and limits of a container."""
    given = fields.known(value, path, "spec.containers[].resources.")
    levels = {level: _level(fields, given.get(level), f"{path}.{level}") for level in _LEVELS}
    for name, amount in levels["requests"].items():
        if amount > levels["limits"].get(name, amount):
            fields.reader.refuse(f"{path}.requests[{name}]", "is more than the limit")
        elif _shared_by_none(name) and levels["limits"].get(name) != amount:
            why = "must equal the limit: devices are not shared"
            fields.reader.refuse(f"{path}.requests[{name}]", why)
    most = {name: max(level.get(name, Fraction(0)) for level in levels.values()) for name in _MOST}
    raw = {level: {name: str(given[level][name]) for name in levels[level]} for level in _LEVELS}
    return _resources(most, raw["requests"], raw["limits"])


def read_flat_resources(fields: FieldReader, value: Any, path: str) -> Resources:
    """What one task of a script needs; each quantity is both request and limit."""
    quantities = fields.reader.mapping(value, path)
    for name in quantities:
        if not _for_scripts(name):
            here = f"{path}[{str(name)[:253]}]"
            why = f"is not supported: ask for {', '.join(_MOST)} or a device such as example.com/fpga"
            fields.reader.refuse(here, why)
    known = {name: item for name, item in quantities.items() if _for_scripts(name)}
    level = _level(fields, known, path)
    raw = {name: str(known[name]) for name in level}
    return _resources(level, raw, raw)


def together(main: Sequence[Container], init: Sequence[Container] = ()) -> Resources:
    """What a pod reserves: the most that its containers request at the same time.

    An init container with restartPolicy Always goes on beside all that come after it.
    """
    if len(main) == 1 and not init:
        return main[0].resources
    requests, most = (_at_once(main, init, ask) for ask in (_asked, _largest))
    texts = {name: _quantity(name, amount) for name, amount in requests.items()}
    return _resources(most, texts, {})


def goes_on(container: Container) -> bool:
    """Whether an init container is a sidecar."""
    return container.given.get("restartPolicy") == "Always"


def _at_once(main: Sequence[Container], init: Sequence[Container], ask: Any) -> dict[str, Fraction]:
    beside: dict[str, Fraction] = {}
    most: dict[str, Fraction] = {}
    for container in init:
        amounts = ask(container.resources)
        for name, amount in amounts.items():
            most[name] = max(most.get(name, Fraction(0)), beside.get(name, Fraction(0)) + amount)
            if goes_on(container):
                beside[name] = beside.get(name, Fraction(0)) + amount
    for container in main:
        for name, amount in ask(container.resources).items():
            beside[name] = beside.get(name, Fraction(0)) + amount
    return {
        name: max(most.get(name, Fraction(0)), beside.get(name, Fraction(0))) for name in {**most, **beside}
    }


def _asked(resources: Resources) -> dict[str, Fraction]:
    """What Kubernetes places a container by: its requests, which are the limits if there are none."""
    given = {**resources.limits, **resources.requests}
    return {name: parse_quantity(text) for name, text in given.items()}


def _largest(resources: Resources) -> dict[str, Fraction]:
    names = {**resources.limits, **resources.requests}
    levels = (resources.limits, resources.requests)
    return {name: max(parse_quantity(level.get(name, "0")) for level in levels) for name in names}


def _resources(
    most: Mapping[str, Fraction], requests: Mapping[str, str], limits: Mapping[str, str]
) -> Resources:
    return Resources(
        millicores=ceiling(most.get("cpu", Fraction(0)) * 1000),
        memory=ceiling(most.get("memory", Fraction(0))),
        gpus=ceiling(most.get(GPU, Fraction(0))),
        requests=requests,
        limits=limits,
    )


def _level(fields: FieldReader, value: Any, path: str) -> dict[str, Fraction]:
    """The amounts by name; one that is wrong is refused and absent."""
    amounts = {}
    for name, item in fields.reader.mapping(value, path).items():
        here = f"{path}[{str(name)[:253]}]"
        most = _most(name)
        if most is None:
            names = ", ".join((*_MOST, LOCAL_DISK))
            why = f"is not supported: ask for {names} or a device such as example.com/fpga"
            fields.reader.refuse(here, why)
            continue
        quantity = fields.reader.convert(item, here, parse_quantity)
        if quantity is None:
            continue
        if quantity > most:
            fields.reader.refuse(here, "is more than any site has")
        elif _shared_by_none(name) and quantity.denominator != 1:
            fields.reader.refuse(here, "must be a whole number of devices")
        else:
            amounts[name] = quantity
            if quantity and name not in _MOST:
                _not_on_slurm(fields, name, here)
    return amounts


def _not_on_slurm(fields: FieldReader, name: str, path: str) -> None:
    """Which devices Slurm has, the site says (`slurm_place`)."""
    if name == LOCAL_DISK:
        fields.drops(Target.SLURM, path, "the jobs of a node share its local disk")
    elif not is_device(name):
        fields.lacks(Target.SLURM, path, "only cpu, memory and devices are; use target: kubernetes")


def is_device(name: str) -> bool:
    """Whether a resource is a device other than NVIDIA's GPUs."""
    return name != GPU and _DEVICE.fullmatch(name) is not None


def _for_scripts(name: Any) -> bool:
    return name in _MOST or (isinstance(name, str) and is_device(name))


def _most(name: Any) -> int | None:
    """The largest amount of a resource; None for what a container cannot ask for."""
    if name in _MOST:
        return _MOST[name]
    if not isinstance(name, str):
        return None
    if name == LOCAL_DISK or _PAGES.fullmatch(name):
        return MAX_MEMORY
    return MAX_DEVICES if _DEVICE.fullmatch(name) else None


def _shared_by_none(name: str) -> bool:
    return "/" in name


def _quantity(name: str, amount: Fraction) -> str:
    if name == "cpu":
        return f"{ceiling(amount * 1000)}m"
    return str(ceiling(amount))
