"""What NVIDIA's management library (NVML) says of a host's GPUs.

It is asked in a process of its own, which ends: the driver may hang in any call, and must not be kept from
being unloaded. Where there is no library, nothing is known.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
_SECONDS = 60
_TEXT = 96
# Of NVIDIA's NVML API reference: nvmlReturn_t.
_SUCCESS, _LOST = 0, 15


class _Memory(ctypes.Structure):
    """Bytes of a GPU: nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def read(library: Any = None) -> dict[str, Any]:
    """The driver's version, the one of CUDA, and each GPU. Raises OSError if there is no library or driver.

    gpus: by their index, each with minor (of its device file), name, memory_mib, mig (whether it is in MIG
    mode) and compute (its capability); a GPU that is lost has `lost` alone.
    """
    library = library or ctypes.CDLL(LIBRARY)
    if code := library.nvmlInit_v2():
        raise OSError(f"NVML cannot start: error {code}")
    try:
        count = ctypes.c_uint()
        library.nvmlDeviceGetCount_v2(ctypes.byref(count))
        return {
            "driver": _text(library.nvmlSystemGetDriverVersion),
            "cuda": _number(library.nvmlSystemGetCudaDriverVersion_v2),
            "gpus": {str(index): _gpu(library, index) for index in range(count.value)},
        }
    finally:
        library.nvmlShutdown()


def _gpu(library: Any, index: int) -> dict[str, Any]:
    gpu, memory = ctypes.c_void_p(), _Memory()
    major, lesser, mig = ctypes.c_int(), ctypes.c_int(), ctypes.c_uint()
    code = library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(gpu))
    code = code or library.nvmlDeviceGetMemoryInfo(gpu, ctypes.byref(memory))
    if code == _LOST:
        return {"lost": True}
    if code != _SUCCESS:
        return {}
    library.nvmlDeviceGetCudaComputeCapability(gpu, ctypes.byref(major), ctypes.byref(lesser))
    library.nvmlDeviceGetMigMode(gpu, ctypes.byref(mig), ctypes.byref(ctypes.c_uint()))
    return {
        "minor": _number(library.nvmlDeviceGetMinorNumber, gpu),
        "name": _text(library.nvmlDeviceGetName, gpu),
        "memory_mib": memory.total >> 20,
        "compute": f"{major.value}.{lesser.value}",
        "mig": bool(mig.value),
    }


def _text(call: Callable[..., int], *words: Any) -> str:
    buffer = ctypes.create_string_buffer(_TEXT)
    call(*words, buffer, _TEXT)
    return buffer.value.decode(errors="replace")


def _number(call: Callable[..., int], *words: Any) -> int:
    number = ctypes.c_uint()
    call(*words, ctypes.byref(number))
    return number.value


def ask() -> dict[str, Any]:
    """What `read` says in a process of its own; empty if it says nothing in time."""
    command = [sys.executable, "-IB", sys.argv[0], "--gpus"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Library:
    """Asks again and again in a thread, and keeps the last answer. seconds: between two questions."""

    def __init__(self, seconds: float, asking: Callable[[], Mapping[str, Any]] = ask) -> None:
        self.report: Mapping[str, Any] = {}
        self._seconds = seconds
        self._ask = asking
        # A lost GPU no longer says which it is.
        self._minors: dict[str, int] = {}
        self._lost: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._follow, name="NVML", daemon=True).start()

    def look(self) -> None:
        """Ask once. An answer that does not come leaves the last one."""
        report = self._ask()
        if not report:
            return
        gpus = report["gpus"]
        self._minors |= {index: gpu["minor"] for index, gpu in gpus.items() if "minor" in gpu}
        lost = [
            self._minors[index] for index, gpu in gpus.items() if gpu.get("lost") and index in self._minors
        ]
        self._lost = frozenset(f"/dev/nvidia{minor}" for minor in lost)
        self.report = report

    def fault(self, file: str) -> str:
        """Why the GPU of a device file cannot be used; empty if NVML does not say so."""
        return "NVML says that the GPU is lost" if file in self._lost else ""

    def _follow(self) -> None:
        while True:
            self.look()
            time.sleep(self._seconds)
