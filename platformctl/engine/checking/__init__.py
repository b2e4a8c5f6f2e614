"""What looks and changes nothing: preflight, verify, status and molecule scenarios."""
