"""What the service keeps in PostgreSQL, one module per concept, its SQL beside it."""
