"""The handlers: one file for each resource, its rows of the endpoint table beside them."""
