"""How a back end joins the router: what it is built from, and what it brings along."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from platformctl.clients.kubernetes import KubernetesClient
from platformctl.router.backend import Backend
from platformctl.router.config import RouterConfig
from platformctl.router.job.overview import Brief, Overview
from platformctl.router.loop.informer import Informer
from platformctl.router.loop.queue import Key

type Concerns = Callable[[Key, float], None]
"""Queues a Job after some seconds."""

type Differing = Callable[[Iterable[Brief]], Iterable[Key]]
"""Which of some Jobs have a status that is not what their back end holds now."""


@dataclass(frozen=True)
class Surroundings:
    """What a back end may use. stack: closes at the end what is opened for it."""

    stack: AsyncExitStack
    config: RouterConfig
    client: KubernetesClient
    overview: Overview
    concerns: Concerns


@dataclass(frozen=True)
class Assembled:
    """A back end, and how its changes are noticed.

    informers: watches that it needs. differing: for a back end whose every change a watch reports, finds what
    changed before the router began to lead; None for one that is polled.
    """

    backend: Backend
    informers: tuple[Informer[Any], ...] = ()
    differing: Differing | None = None


type Builder = Callable[[Surroundings], Awaitable[Assembled | None]]
"""Builds a back end; None where the site has none of it."""
