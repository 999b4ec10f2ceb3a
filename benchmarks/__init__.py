"""Our service against peers that we wrote ourselves, in turn on one database, and against itself.

`python -m benchmarks [--quick]`; see docs/performance.md. The figures depend on the machine and on
what else it does; the ratios, taken round by round, are what to read.
"""
