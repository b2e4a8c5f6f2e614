"""The Slurm back end: jobs over slurmrestd, seen in bulk by their states."""
