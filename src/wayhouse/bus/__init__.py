"""The message bus: a Majordomo broker (MDP 0.1 and 0.2), durable requests (Titanic) and the key/value clone, on ZeroMQ."""
