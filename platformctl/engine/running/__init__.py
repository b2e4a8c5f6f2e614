"""Runs that change hosts: sessions of Ansible, their order, the journal, progress and locks."""
