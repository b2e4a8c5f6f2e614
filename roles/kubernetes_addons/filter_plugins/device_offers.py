"""What plugins of vendors and DRA drivers offer, by classes of hosts that offer the same."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from platformctl.site import devices


def kubernetes_device_offers(
    names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what each class of hosts offers, as {who, name, entries}: see `devices.offers`."""
    found = {}
    for host in names:
        for who, entries in devices.offers(hostvars[host]).items():
            name = devices.plugin_class(entries)
            found[(who, name)] = {"who": who, "name": name, "entries": entries}
    return [found[key] for key in sorted(found)]


def kubernetes_device_drivers(offers: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the DRA driver of each resource that DRA drivers offer."""
    of_dra = (entry for one in offers if one["who"] == devices.DRA for entry in one["entries"])
    return {entry["resource"]: entry["driver"] for entry in of_dra}


def nvidia_plugin_settings(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the configuration file of NVIDIA's device plugin, in its format v1.

    CDI gives containers the device, its driver's libraries and nothing else. Slices are offered by their
    profiles, so GPUs in slices and whole ones may be in one host.
    """
    entries = list(entries)
    settings: dict[str, Any] = {
        "version": "v1",
        "flags": {
            "migStrategy": "mixed" if any(entry["slices"] for entry in entries) else "none",
            "plugin": {"deviceListStrategy": ["cdi-cri"], "deviceIDStrategy": "uuid"},
        },
    }
    shared = [entry for entry in entries if entry["holders"] > 1]
    if shared:
        resources = [{"name": entry["resource"], "replicas": entry["holders"]} for entry in shared]
        settings["sharing"] = {"timeSlicing": {"resources": resources}}
    return settings


def rdma_plugin_settings(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the configuration of k8s-rdma-shared-dev-plugin. Each holder gets all devices of a resource."""
    configured = []
    for entry in entries:
        prefix, _, name = entry["resource"].rpartition("/")
        configured.append(
            {
                "resourcePrefix": prefix,
                "resourceName": name,
                "rdmaHcaMax": entry["count"] * entry["holders"],
                "selectors": {"ifNames": list(entry["interfaces"])},
            }
        )
    return {"periodicUpdateInterval": 60, "configList": configured}


class FilterModule:
    """The filters above, by their names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {
            "kubernetes_device_offers": kubernetes_device_offers,
            "kubernetes_device_drivers": kubernetes_device_drivers,
            "nvidia_plugin_settings": nvidia_plugin_settings,
            "rdma_plugin_settings": rdma_plugin_settings,
        }
