"""The file system of the users' home directories, as a host has it.

Standard library only, Python 3.9 or newer: preflight runs it on hosts to which nothing was applied yet.
"""
