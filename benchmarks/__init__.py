"""Benchmarks: each prints figures, none judges."""
