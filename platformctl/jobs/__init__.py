"""The Job model and its translation to each back end: pure functions, no I/O.

`parse` turns the spec of a kfoundry.io/v1alpha1 Job into a JobSpec or a list of refusals, each with its field
path. `slurm` and `kubernetes` translate a JobSpec. `fields` says how each field of a pod template is handled.
"""
