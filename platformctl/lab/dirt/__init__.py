"""A library of dirt: what engineers find on real hosts, made on a host of a lab.

Each is a context manager `name(lab, host, ...)` and undoes itself, as far as the host is still there. Unlike
a fault it lies on the host's disk, as it does on a real host, and outlives a reboot.
"""
