"""Processes, calls between them, descriptors on the move: the AVE manual under its own names, usable as a library."""
