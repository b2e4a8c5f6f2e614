"""Judges the health of a host's devices once, and brings the result to both schedulers.

One process a host. Checks say which device files are faulty; the ledger says which faults hold; the state
file is read by the device plugin; Slurm's node is drained; a condition of the node in Kubernetes says why.
Only the standard library: hosts have nothing else.
"""
