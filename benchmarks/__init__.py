"""Our service against two peers that we wrote ourselves, in turn on one database.

`python -m benchmarks [--quick] [--json]`. The figures depend on the machine and on what else it
does; the ratios, taken round by round, are what to read.
"""
