"""One file for each outside thing of automation: programs and servers that keep the time, and where scenarios run."""
