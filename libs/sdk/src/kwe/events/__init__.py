"""The kit for consumers of events."""
