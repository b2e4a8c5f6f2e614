"""Take new files over: let the services read them, prove that they work, or bring the last good ones back."""

from __future__ import annotations

from collections.abc import Sequence

from ansible.module_utils.host_files.last_good import LastGood
from ansible.module_utils.host_files.services import Service, UnwellError, run, said

_LINES = 12


class Takeover:
    """The services of a task, or its apply command, and the files that they were last proven with."""

    def __init__(self, last_good: LastGood, services: Sequence[Service], apply: Sequence[str]) -> None:
        self._last_good = last_good
        self._services = services
        self._apply = apply

    def remember(self) -> None:
        """Before a change: keep what returns if it fails; without a proof, only what works now."""
        if self._last_good.exists():
            self._last_good.complete()
        elif self._services and all(each.is_well() for each in self._services):
            self._last_good.take()

    def carry_out(self, check_mode: bool, written: bool) -> list[str]:
        """Bring the services to the present files and prove them; say what was done."""
        proven = self._last_good.in_place()
        if check_mode:
            return self._bring(check_mode, proven and not written)
        try:
            done = self._bring(check_mode, proven and not written)
            if (done or not proven) and not any(service.is_idle() for service in self._services):
                for service in self._services:
                    service.wait_until_healthy()
                self._last_good.take()
        except UnwellError as error:
            raise UnwellError(f"{error}\n{self._return()}") from None
        return done

    def _bring(self, check_mode: bool, proven: bool, anew: bool = False) -> list[str]:
        done = [said for each in self._services if (said := each.keep_running(check_mode, anew))]
        if self._apply and not proven:
            done += [f"{self._apply[0]}"] if check_mode else self._run_apply()
        return done

    def _run_apply(self) -> list[str]:
        done = run(self._apply)
        if done.returncode:
            # Before its last words stands what went well.
            words = "\n".join(said(done).splitlines()[-_LINES:])
            raise UnwellError(f"{self._apply[0]} failed:\n{words}")
        return [f"{self._apply[0]}: {done.stdout.strip()}"] if done.stdout.strip() else []

    def _return(self) -> str:
        """Bring the last good files back; say how that went."""
        if not self._last_good.exists():
            return "There are no earlier files with which it worked, so the new ones stay in place."
        restored = self._last_good.restore()
        if not restored:
            return "Its files are those with which it worked before, so the cause lies elsewhere."
        files = f"The last good content of {', '.join(restored)} is back"
        try:
            self._bring(check_mode=False, proven=False, anew=True)
            for service in self._services:
                service.wait_until_healthy()
        except UnwellError as error:
            return f"{files}, but that does not work either: {error}"
        return f"{files}, and works."
