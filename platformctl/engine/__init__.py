"""The engine: which stages a site needs on which hosts, and running them over ssh with Ansible.

Only stages whose digest differs from what the host recorded are run, independent branches at the
same time, one run a site at a time; everything that happens is journalled without secrets.
"""
