"""Kubernetes' own conformance suite against a lab's cluster: `make conformance`.

suite.py      the suite and its test programs, built from their Go modules (gomodule/ is the lock)
images.py     the images that its specs run, made here under the names that they have
exclusions    specs that do not run here, each with its reason (exclusions.yml)
__main__.py   the lab, the run and what it prints
"""
