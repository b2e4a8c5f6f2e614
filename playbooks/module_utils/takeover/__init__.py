"""What is on a host already, how it is taken over, and how it is given back.

Runs on foreign hosts: standard library only, Python 3.9 or newer. The modules host_probe and host_before use
it; platformctl also sends it over ssh as one program (platformctl/engine/checking/program.py).
"""
