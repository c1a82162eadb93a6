"""Words used everywhere, with no domain of their own."""
