"""The messages between the kubelet and device plugins, version v1beta1, without generated code.

Source: api.proto of the module k8s.io/kubelet, pkg/apis/deviceplugin/v1beta1. Only the fields that are used
here are declared; the wire format ignores the others.
"""

from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

PACKAGE = "v1beta1"
API_VERSION = "v1beta1"
HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"
LONGEST_ID = 63

_TEXT, _FLAG, _NUMBER = "string", "bool", "int32"
_TYPES = {
    _TEXT: descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    _FLAG: descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    _NUMBER: descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
}
# By message: name, number, type and whether it is a list, of each field. Other types are messages.
_MESSAGES: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    "Empty": (),
    "DevicePluginOptions": (
        ("pre_start_required", 1, _FLAG, False),
        ("get_preferred_allocation_available", 2, _FLAG, False),
    ),
    "RegisterRequest": (
        ("version", 1, _TEXT, False),
        ("endpoint", 2, _TEXT, False),
        ("resource_name", 3, _TEXT, False),
        ("options", 4, "DevicePluginOptions", False),
    ),
    "Device": (("ID", 1, _TEXT, False), ("health", 2, _TEXT, False)),
    "ListAndWatchResponse": (("devices", 1, "Device", True),),
    "ContainerAllocateRequest": (("devices_ids", 1, _TEXT, True),),
    "AllocateRequest": (("container_requests", 1, "ContainerAllocateRequest", True),),
    "DeviceSpec": (
        ("container_path", 1, _TEXT, False),
        ("host_path", 2, _TEXT, False),
        ("permissions", 3, _TEXT, False),
    ),
    "CDIDevice": (("name", 1, _TEXT, False),),
    "ContainerAllocateResponse": (
        ("devices", 3, "DeviceSpec", True),
        ("cdi_devices", 5, "CDIDevice", True),
    ),
    "AllocateResponse": (("container_responses", 1, "ContainerAllocateResponse", True),),
    "ContainerPreferredAllocationRequest": (
        ("available_deviceIDs", 1, _TEXT, True),
        ("must_include_deviceIDs", 2, _TEXT, True),
        ("allocation_size", 3, _NUMBER, False),
    ),
    "PreferredAllocationRequest": (("container_requests", 1, "ContainerPreferredAllocationRequest", True),),
    "ContainerPreferredAllocationResponse": (("deviceIDs", 1, _TEXT, True),),
    "PreferredAllocationResponse": (
        ("container_responses", 1, "ContainerPreferredAllocationResponse", True),
    ),
}


def _declared() -> dict[str, Any]:
    """The class of each message, by its name."""
    file = descriptor_pb2.FileDescriptorProto(name="deviceplugin.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, several in fields:
            added = message.field.add(name=field, number=number, label=3 if several else 1)
            if kind in _TYPES:
                added.type = _TYPES[kind]
            else:
                added.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = f".{PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _MESSAGES
    }


CLASSES = _declared()
"""The messages: `CLASSES["Device"](ID="nvidia0", health=HEALTHY)`."""
