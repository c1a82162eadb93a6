"""What the overlay does outside: introductions, paths and interfaces; each with a fake beside the real one."""
