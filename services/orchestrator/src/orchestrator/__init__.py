"""Accepts commands and advances executions; owns the schema workflow."""
