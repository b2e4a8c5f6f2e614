"""What the router gives to a back end's builder, and what the builder returns."""

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
"""Of the given Jobs, those whose status differs from what their back end has now."""


@dataclass(frozen=True)
class Surroundings:
    """What a back end may use. stack: closes what it opened when the process ends."""

    stack: AsyncExitStack
    config: RouterConfig
    client: KubernetesClient
    overview: Overview
    concerns: Concerns


@dataclass(frozen=True)
class Assembled:
    """A back end, and how the router learns of its changes.

    informers: the watches that it needs. differing: for a back end whose watches report every change, finds
    what changed before the router became the leader; None for a back end that is polled.
    """

    backend: Backend
    informers: tuple[Informer[Any], ...] = ()
    differing: Differing | None = None


type Builder = Callable[[Surroundings], Awaitable[Assembled | None]]
"""Builds a back end; None if the site does not have it."""
