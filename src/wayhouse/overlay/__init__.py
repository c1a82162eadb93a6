"""Gateways that find each other: introductions, a path through any NAT, an encrypted tunnel, and who may do what in it."""
