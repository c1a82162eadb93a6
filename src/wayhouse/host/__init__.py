"""The machine itself: facts, status, telemetry, power and its snapd socket."""
