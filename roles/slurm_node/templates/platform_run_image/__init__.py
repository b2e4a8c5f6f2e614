"""Runs a command of a Slurm job in a container image with the container runtime that the site chose.

`settings` is what the site says, `images` fetches and unpacks, `unpacked` says what a container made of an
unpacked image needs, and one module for each runtime, named as the variable slurm_node_container_runtime
names it, has `start(name, words)`: the command line, whose first
word is the program's path, and its environment.
"""
