"""Backups of an installation: all of it is in PostgreSQL, so a dump of the database is the whole of it.

`programs` finds a `pg_dump` that fits the server, `places` keeps dumps with their checksums (a folder, S3-compatible
storage), `taking` makes one, `restoring` puts one back and says so to the services.
"""
