"""The process that keeps one sandboxed container running, and outlives the daemon. Standard library only."""
