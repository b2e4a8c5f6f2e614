"""The Slurm back end: jobs over slurmrestd, observed by polling the states of all jobs."""
