"""What runs inside the cluster: access to its API, charts, queues, and taking them away."""
