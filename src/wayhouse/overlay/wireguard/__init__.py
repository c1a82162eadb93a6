"""The WireGuard protocol as a machine: no sockets and no clock. Start with `device.py`."""
