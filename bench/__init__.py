"""What the service achieves beside others that do the same work on the same machine in the same minutes."""
