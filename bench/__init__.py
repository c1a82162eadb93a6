"""Measurements, one command: `make bench`, or `python -m bench [name ...]`.

Each file measures one thing against a peer in the same run; ratios and CPU time count more than wall-clock figures, since
machines are shared. The table of the last full run is docs/benchmarks.md.
"""
