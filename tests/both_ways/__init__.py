"""The same scripts by a site's own sbatch and as Jobs, and what both leave.

`tests/e2e/test_sbatch.py` compares the scripts written there; `make cases RUN=LAB` those of a folder.
"""

from tests.both_ways.compare import Ran, Script, differences, run_both

__all__ = ["Ran", "Script", "differences", "run_both"]
