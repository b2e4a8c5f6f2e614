"""A host's users and groups, and what lies between them and those of the site.

Standard library only, Python 3.9 or newer: it runs on hosts to which nothing was applied yet. The modules
posix_accounts and host_probe use it.
"""
