"""Queries, one file per concern, each named and explained where it is surprising."""
