"""Judges the health of a host's devices once, and brings the result to both schedulers.

One process a host. Checks say which device files are faulty; the ledger says which faults hold; the state
file is read by the device plugin; Slurm's node is drained; a condition of the node in Kubernetes says why.
Standard library only, Python 3.9 or newer: hosts have nothing else.
"""

from __future__ import annotations
