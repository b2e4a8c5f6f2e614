#!/usr/bin/python3 -IB
"""Watch the health of this host's devices, and take faulty ones out of service on both schedulers.

Without options it is the service. With --show it prints what the service has found; with --repaired FILE the
service forgets the fault of a GPU that was repaired without the kernel's log saying so. --release is for when
the service goes: it ends what the service has set under both schedulers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, "/usr/local/lib/platformctl-device-health")

from platformctl_device_health import nvml, service, state

SETTINGS = Path("/usr/local/lib/platformctl-device-health/settings.json")


def main() -> int:
    """Run what the options say.

    Returns the exit status: 1 with --show if a device is faulty, with --gpus if nothing is known, with
    --release if something is left.
    """
    parser = argparse.ArgumentParser(prog="platformctl-device-health", description=__doc__)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--show", action="store_true", help="print the faults that hold")
    group.add_argument("--repaired", metavar="FILE", help="such as /dev/nvidia3")
    group.add_argument(
        "--gpus", action="store_true", help="print what NVIDIA's library says of the GPUs, as JSON"
    )
    group.add_argument("--release", action="store_true", help="end our drain, and clear our condition")
    options = parser.parse_args()
    if options.repaired:
        state.request(state.FOLDER, options.repaired)
    elif options.show:
        found = state.read(state.FOLDER)
        for file, reason in sorted(found.faults.items()):
            sys.stdout.write(f"{file}: {reason}\n")
        return 1 if found.faults else 0
    elif options.gpus:
        try:
            sys.stdout.write(f"{json.dumps(nvml.read(), indent=2)}\n")
        except (AttributeError, OSError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    elif options.release:
        try:
            left = service.release(json.loads(SETTINGS.read_text()))
        except (OSError, ValueError) as error:
            left = [str(error)]
        sys.stderr.writelines(f"{words}\n" for words in left)
        return 1 if left else 0
    else:
        service.run(json.loads(SETTINGS.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
