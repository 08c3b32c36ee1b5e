"""Runs tasks: http, llm, and your own functions."""
