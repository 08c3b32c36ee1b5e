"""Server-sent events: histories, the organisation's feed, and token deltas."""
