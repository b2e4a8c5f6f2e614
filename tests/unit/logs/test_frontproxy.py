"""Whom the logs API takes for the API server."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from platformctl.logs.frontproxy import FrontProxy, UnauthenticatedError

DATA = {
    "requestheader-client-ca-file": "PEM",
    "requestheader-allowed-names": '["front-proxy-client"]',
    "requestheader-username-headers": '["X-Remote-User"]',
    "requestheader-group-headers": '["X-Remote-Group"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
}


class Transport:
    """A connection with a verified certificate, or none."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name != "peercert" or self._name is None:
            return default
        return {"subject": ((("organizationName", "x"),), (("commonName", self._name),))}

    def is_closing(self) -> bool:
        return False


def caller(name: str | None, headers: Mapping[str, str] | CIMultiDict[str], **data: str) -> Any:
    proxy = FrontProxy.of({"data": {**DATA, **data}})
    request = make_mocked_request("GET", "/", headers=CIMultiDict(headers), transport=Transport(name))
    return proxy.caller(request)


def test_the_callers_name_groups_and_more() -> None:
    headers = CIMultiDict(
        [
            ("x-remote-user", "alice"),
            ("X-Remote-Group", "platform:users"),
            ("X-Remote-Group", "system:authenticated"),
            ("X-Remote-Extra-Scopes", "a"),
            ("X-Remote-Extra-Scopes", "b"),
        ]
    )
    found = caller("front-proxy-client", headers)
    assert (found.name, found.groups) == ("alice", ("platform:users", "system:authenticated"))
    assert found.extra == {"scopes": ("a", "b")}


@pytest.mark.parametrize("name", [None, "kubelet", "", "front-proxy-client2"])
def test_nobody_else_speaks_for_others(name: str | None) -> None:
    with pytest.raises(UnauthenticatedError):
        caller(name, {"X-Remote-User": "alice"})


def test_without_names_any_certificate_of_the_authority_will_do() -> None:
    found = caller("whoever", {"X-Remote-User": "alice"}, **{"requestheader-allowed-names": "[]"})
    assert found.name == "alice"


def test_a_caller_without_a_name_is_nobody() -> None:
    with pytest.raises(UnauthenticatedError):
        caller("front-proxy-client", {"X-Remote-Group": "system:masters"})


def test_an_api_server_without_a_front_proxy_is_refused() -> None:
    with pytest.raises(ValueError, match="requestheader-client-ca-file"):
        FrontProxy.of({"data": {}})
