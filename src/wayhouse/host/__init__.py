"""The machine itself: what it is, how it does, its power, its snapd, its node id."""
