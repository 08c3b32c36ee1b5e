"""Named queries, one file per concept."""
