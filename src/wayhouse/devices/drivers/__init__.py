"""One file for each way to reach devices, and a fake beside the real ones."""
