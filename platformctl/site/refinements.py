"""Values that need more than the type in argument_specs: names, networks, numbers with limits.

Keyed by the variable's name, and by `variable.key` for keys of its mappings.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictInt, WithJsonSchema
from pydantic_core import PydanticCustomError

from platformctl.site import devices, processors

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
AUTHORITY_SUFFIX = " site CA"
"""What follows the site's name in the common name of its certificate authority."""
LONGEST_SITE_NAME = 64 - len(AUTHORITY_SUFFIX)  # RFC 5280, ub-common-name
SITE_NAME = rf"[a-z0-9]([a-z0-9-]{{0,{LONGEST_SITE_NAME - 2}}}[a-z0-9])?"
SITE_NAME_REMEDY = f"use 1 to {LONGEST_SITE_NAME} of a-z, 0-9 and -, with a letter or digit at both ends"
DOMAIN = rf"{LABEL}(\.{LABEL})*"
POSIX_NAME = r"[a-z_][a-z0-9_-]{0,31}"
SLURM_NAME = r"[a-z0-9][a-z0-9_-]{0,39}"
DURATION = r"(\d+-\d{1,2}(:\d{2}){0,2}|\d+(:\d{2}){0,2}|UNLIMITED|INFINITE)"

LOWEST_ID, HIGHEST_ID = 1000, 59999  # below are Debian's system users, above its dynamic ones
MASKS = (4, 30)


def is_label(text: str) -> bool:
    """Whether a text is a DNS label."""
    return re.fullmatch(LABEL, text) is not None


def is_site_name(text: str) -> bool:
    """Whether a text is a DNS label that leaves room for AUTHORITY_SUFFIX."""
    return re.fullmatch(SITE_NAME, text) is not None


def _refuse(problem: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("site", "{problem}", {"problem": problem, "remedy": remedy})


def _text(pattern: str, problem: str, remedy: str) -> Any:
    whole = re.compile(pattern)

    def check(value: str) -> str:
        if not whole.fullmatch(value):
            raise _refuse(problem, remedy)
        return value

    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return Annotated[str, AfterValidator(check), WithJsonSchema(schema)]


def _network(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        raise _refuse("is not an IPv4 network", "write it as 10.244.0.0/16") from None
    if "/" not in value:
        raise _refuse("has no prefix", "write it as 10.244.0.0/16")
    if str(network) != value:
        raise _refuse("has bits set after its prefix", f"write {network}")
    if not MASKS[0] <= network.prefixlen <= MASKS[1]:
        raise _refuse("is of no useful size", f"use a prefix from /{MASKS[0]} to /{MASKS[1]}")
    return value


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise _refuse("is not an IP address", "write an address such as 192.0.2.11") from None
    return value


def _device_file(value: str) -> str:
    try:
        devices.expand(value)
    except devices.DeviceError as error:
        raise _refuse(str(error), "write a file such as /dev/nvidia0, or /dev/nvidia[0-3] for four") from None
    return value


def _cpus(value: str) -> str:
    try:
        processors.cpu_list(value)
    except processors.ProcessorError as error:
        raise _refuse(
            str(error), 'write it in quotes as the kernel lists CPUs, such as "0-7,16-23"'
        ) from None
    return value


def _checked(check: Callable[[str], str], format_: str) -> Any:
    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "format": format_})]


_SITE_NAME = _text(
    SITE_NAME, f"is not a DNS label of at most {LONGEST_SITE_NAME} characters", SITE_NAME_REMEDY
)
_DOMAIN = _text(DOMAIN, "is not a DNS domain", "write lower-case labels with dots between, as hpc.example")
_POSIX = _text(POSIX_NAME, "is not a POSIX name", "use at most 32 of a-z, 0-9, _ and -, with a letter first")
_SLURM = _text(SLURM_NAME, "is not a Slurm name", "use at most 40 of a-z, 0-9, _ and -, with no capitals")
_FULL_NAME = _text(
    r"[^:%\"\\\x00-\x1f\x7f]*",
    "holds what /etc/passwd cannot, or sysusers.d(5) reads otherwise",
    "leave out colons, per cent signs, double quotes, backslashes and line breaks",
)
_PARTITION = _text(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", "is not a partition name", "use letters, digits, _ and -"
)
_DURATION = _text(
    DURATION, "is not a Slurm time", 'write "DAYS-HOURS:MINUTES:SECONDS" in quotes, as "1-00:00:00"'
)
_ID = Annotated[StrictInt, Field(ge=LOWEST_ID, le=HIGHEST_ID)]
_DEVICE_NAME = _text(
    r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?",
    "is not a name of devices",
    "use at most 32 of a-z, 0-9 and -, with a letter first",
)
_DEVICE_TYPE = _text(
    r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
    "is not a name of at most 63 characters",
    "use letters, digits, ., _ and -, with a letter or digit at both ends",
)
_RESOURCE = _text(
    rf"{DOMAIN}/[A-Za-z0-9]([A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?",
    "is not a resource of Kubernetes",
    "write it as DOMAIN/NAME, such as example.com/fpga",
)
_DEVICE_FILES: Any = list[_checked(_device_file, "device-files")]  # type: ignore[misc]
_PORT = Annotated[StrictInt, Field(ge=1, le=65535)]
_POSITIVE = Annotated[StrictInt, Field(ge=1)]
_HANDLER = _text(LABEL, "is not a name of a handler", "use at most 63 of a-z, 0-9 and -")
_QUANTITY = _text(
    r"[0-9]+(\.[0-9]+)?(m|[KMGT]i?)?",
    "is not a quantity of Kubernetes",
    'write it in quotes, as "250m" or "64Mi"',
)
_NUMA_NODE = Annotated[StrictInt, Field(ge=0, le=1023)]

REFINEMENTS: dict[str, Any] = {
    "site_name": _SITE_NAME,
    "site_domain": _DOMAIN,
    "kubernetes_pod_network": _checked(_network, "ipv4-network"),
    "kubernetes_service_network": _checked(_network, "ipv4-network"),
    "base_address": _checked(_address, "ip-address"),
    "slurm_cluster_name": _SLURM,
    "slurm_default_account": _SLURM,
    "slurm_partitions.name": _PARTITION,
    "slurm_partitions.max_time": _DURATION,
    "slurm_partitions.default_time": _DURATION,
    "slurm_partitions.max_nodes": _POSITIVE,
    "slurm_node_cpus": _POSITIVE,
    "slurm_node_memory_mib": _POSITIVE,
    "node_slurm_cpus": _checked(_cpus, "cpu-list"),
    "node_slurm_memory_mib": _POSITIVE,
    "node_system_memory_mib": Annotated[StrictInt, Field(ge=0)],
    "node_system_cpus": _checked(_cpus, "cpu-list"),
    "node_memory_manager.reserved_on": Annotated[list[_NUMA_NODE], Field(min_length=1)],
    "node_topology_manager.options.max-allowable-numa-nodes": Annotated[StrictInt, Field(ge=8)],
    "node_hugepages.count": _POSITIVE,
    "node_hugepages.numa_node": _NUMA_NODE,
    "slurm_node_core_spec_count": _POSITIVE,
    "kubernetes_runtime_classes.name": _DOMAIN,
    "kubernetes_runtime_classes.handler": _HANDLER,
    "kubernetes_runtime_classes.overhead.cpu": _QUANTITY,
    "kubernetes_runtime_classes.overhead.memory": _QUANTITY,
    "node_devices.name": _DEVICE_NAME,
    "node_devices.vendor": _DEVICE_TYPE,
    "node_devices.type": _DEVICE_TYPE,
    "node_devices.slices": _DEVICE_TYPE,
    "node_devices.resource": _RESOURCE,
    "node_devices.files": _DEVICE_FILES,
    "node_devices.common_files": _DEVICE_FILES,
    "node_devices.count": Annotated[StrictInt, Field(ge=1, le=100_000)],
    "node_devices.sharing.holders": Annotated[StrictInt, Field(ge=2, le=1000)],
    "users_groups.name": _POSIX,
    "users_groups.gid": _ID,
    "users_accounts.name": _POSIX,
    "users_accounts.full_name": _FULL_NAME,
    "users_accounts.uid": _ID,
    "users_accounts.slurm_account": _SLURM,
    "ansible_port": _PORT,
    "registry_port": _PORT,
}
