"""What the chutes room does outside: downloads, probes, ports of the machine."""
