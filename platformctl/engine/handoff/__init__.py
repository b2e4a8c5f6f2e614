"""Gives nodes from one scheduler to the other: what is done, on which side, and what is kept of it."""
