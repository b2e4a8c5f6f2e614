"""Replaces a secret of a running site by a new one, and proves that nothing was lost."""
