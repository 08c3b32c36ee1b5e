"""What the gateway reads from PostgreSQL, always as one organisation, under row-level security."""
