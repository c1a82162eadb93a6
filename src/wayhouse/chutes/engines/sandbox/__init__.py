"""The engine for machines without Docker: Linux namespaces, one small shim process for each container."""
