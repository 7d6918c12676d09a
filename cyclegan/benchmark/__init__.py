"""Benchmarks: the plain execution and the chosen one, in turn on this machine."""
