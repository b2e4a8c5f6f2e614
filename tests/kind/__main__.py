"""`make kind`: `python -m tests.kind up [--image NODE_IMAGE] | down`."""

import argparse

from platformctl.errors import PlatformError
from tests.kind import cluster


def main() -> None:
    """Make or remove the cluster."""
    options = argparse.ArgumentParser(prog="python -m tests.kind")
    options.add_argument("do", choices=["up", "down"])
    options.add_argument("--image", help="a public node image, instead of one built here")
    chosen = options.parse_args()
    try:
        cluster.up(chosen.image) if chosen.do == "up" else cluster.down()
    except PlatformError as error:
        raise SystemExit(str(error)) from None


main()
