"""What every service shares: contracts, streams, PostgreSQL, settings, telemetry, security primitives."""
