"""The device plugin: offers the devices of the inventory that Kubernetes owns to the kubelet of a node."""
