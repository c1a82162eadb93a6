"""Keeping processes running: a machine that decides, a driver that does it."""
