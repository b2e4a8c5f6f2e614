"""The table of dirt, one module a kind. A new situation is one row in one of them."""
