"""Devices: their types, the roster of those that exist, their readings, and the drivers that reach them."""
