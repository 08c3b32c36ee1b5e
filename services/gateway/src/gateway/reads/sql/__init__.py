"""Queries in SQL, a file per subject."""
