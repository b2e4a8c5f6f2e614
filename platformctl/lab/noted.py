"""Context managers that do something to a host of a lab, and undo it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Concatenate

from platformctl.lab.lifecycle import Lab

type Injection[**P] = Callable[Concatenate[Lab, str, P], Iterator[None]]
type Noted[**P] = Callable[Concatenate[Lab, str, P], AbstractContextManager[None]]


def noted[**P](inject: Injection[P], kind: str) -> Noted[P]:
    """A context manager that adds its kind, name and host as a note to an error that leaves its block."""
    injected = contextmanager(inject)

    @contextmanager
    @wraps(inject)
    def manager(lab: Lab, host: str, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[None]:
        with injected(lab, host, *args, **kwargs):
            try:
                yield
            except BaseException as error:
                values = [*map(str, args), *(f"{name}={value}" for name, value in kwargs.items())]
                error.add_note(f"{kind}: {' '.join([host, 'of lab', lab.name, inject.__name__, *values])}")
                raise

    return manager
