"""What keeps two runs on one site apart, and ends a run cleanly when it is interrupted."""
