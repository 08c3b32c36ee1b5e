"""PostgreSQL behind the orchestrator's ports."""
