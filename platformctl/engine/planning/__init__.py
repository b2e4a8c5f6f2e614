"""What would change and why: digests, the hosts' records, the plan, and whom it disturbs."""
