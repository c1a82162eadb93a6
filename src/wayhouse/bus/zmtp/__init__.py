"""ZMTP, the protocol under ZeroMQ's sockets, from the side that is connected to: machines without a socket."""
