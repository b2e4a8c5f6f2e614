"""Elastic ownership: idle nodes that can move go to the scheduler whose work waits for nodes."""
