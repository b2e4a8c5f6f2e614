"""What the device plugin offers: ids, health, and what containers get."""

import json
from typing import Any

import pytest

from platformctl.device_plugin.offer import Offer, offers
from platformctl.site import devices

SHARED = Offer(
    "rdma/hca", {"uverbs0": ("/dev/infiniband/uverbs0",), "uverbs1": ("/dev/infiniband/uverbs1",)}, holders=3
)


def offered(*rows: dict[str, Any]) -> list[Offer]:
    """By what the inventory is made into."""
    return offers(json.dumps(devices.plugin_rows({"node_owner": "kubernetes", "node_devices": list(rows)})))


def test_the_inventory_is_understood() -> None:
    (gpu, rdma) = offered(
        {
            "kind": "gpu",
            "vendor": "nvidia",
            "files": ["/dev/nvidia[0-1]"],
            "common_files": ["/dev/nvidiactl"],
        },
        {"kind": "rdma", "files": ["/dev/infiniband/uverbs0"], "sharing": {"how": "time", "holders": 2}},
    )
    assert (gpu.resource, gpu.ids()) == ("nvidia.com/gpu", ["nvidia0", "nvidia1"])
    assert rdma.ids() == ["infiniband-uverbs0::0", "infiniband-uverbs0::1"]
    assert gpu.files(["nvidia1"]) == ["/dev/nvidia1", "/dev/nvidiactl"]


def test_a_holder_gets_what_cdi_says_of_its_devices() -> None:
    named = {
        "kind": "gpu",
        "vendor": "nvidia",
        "files": ["/dev/nvidia[0-1]"],
        "cdi": ["nvidia.com/gpu=[0-1]"],
    }
    (gpu,) = offered(named, {"kind": "gpu", "vendor": "nvidia", "files": ["/dev/nvidia2"]})
    assert gpu.cdi_names(["nvidia1", "nvidia2", "nvidia1"]) == ["nvidia.com/gpu=1"]
    assert gpu.cdi_names(["nvidia2"]) == []


def test_slices_are_known_by_the_file_that_they_do_not_share() -> None:
    files = ["/dev/nvidia0,/dev/nvidia-caps/nvidia-cap[21-22]"]
    (slices,) = offered({"kind": "gpu", "vendor": "nvidia", "slices": "1g.10gb", "files": files})
    assert slices.ids() == ["nvidia-caps-nvidia-cap21", "nvidia-caps-nvidia-cap22"]
    assert slices.files(["nvidia-caps-nvidia-cap22"]) == ["/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap22"]


def test_devices_without_files_are_counted_and_give_none() -> None:
    (licences,) = offered({"kind": "other", "name": "licence", "count": 3, "common_files": ["/dev/x"]})
    assert licences.ids() == ["0", "1", "2"]
    assert licences.files(["2"]) == []
    assert all(licences.healthy(lambda _: False).values())


def test_a_device_with_a_missing_file_is_unhealthy_unless_nobody_looks() -> None:
    there = {"/dev/a"}
    for checked, second in ((True, False), (False, True)):
        offer = Offer("x/y", {"a": ("/dev/a",), "b": ("/dev/a", "/dev/b")}, checked=checked)
        assert offer.healthy(there.__contains__) == {"a": True, "b": second}


def test_no_id_is_longer_than_the_kubelet_takes() -> None:
    (offer,) = offered({"kind": "other", "name": "x", "files": [f"/dev/{'d' * 80}/x{n}" for n in range(2)]})
    assert len(set(offer.ids())) == 2
    assert all(len(one) <= 63 for one in offer.ids())


def test_a_container_gets_different_devices_first_and_the_least_held() -> None:
    assert SHARED.preferred(SHARED.ids(), [], 2) == ["uverbs0::0", "uverbs1::0"]
    assert SHARED.preferred(["uverbs0::2", "uverbs1::0", "uverbs1::1"], [], 1) == ["uverbs1::0"]
    assert SHARED.preferred(["uverbs0::1", "uverbs0::2"], ["uverbs0::1"], 2) == ["uverbs0::1", "uverbs0::2"]
    assert SHARED.preferred(["uverbs0::0"], [], 5) == ["uverbs0::0"]


def test_a_file_of_two_turns_is_given_once() -> None:
    assert SHARED.files(["uverbs0::0", "uverbs0::1"]) == ["/dev/infiniband/uverbs0"]


@pytest.mark.parametrize("text", ["", "{}x", "[1]", '[{"resource": "x"}]', "null"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a list|Expecting|Extra data"):
        offers(text)


def test_an_unknown_id_has_no_files() -> None:
    with pytest.raises(KeyError):
        SHARED.files(["uverbs7::0"])
