"""A hot upgrade: everything that a running server has goes to its successor."""
