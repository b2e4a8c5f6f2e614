import tests.ansible_files  # noqa: F401 - finds the modules beside the playbooks
