"""What the API does outside: forwarding to apps."""
