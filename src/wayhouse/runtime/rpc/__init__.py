"""Calls over sockets: the wires as machines, the conversations that serve them, the loops that own the sockets."""
