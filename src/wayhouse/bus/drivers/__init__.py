"""ZeroMQ sockets for the machines of the bus."""
