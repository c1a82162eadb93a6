"""One file per outside thing of the host."""
