"""Counts how many scripts and manifests that people have are accepted as they are: `make cases`."""
