"""The built-in data plane: the interface, the UDP sockets and the packets between them, in one thread of its own."""
