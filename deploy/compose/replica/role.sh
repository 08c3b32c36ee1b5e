#!/bin/sh
# Creates the role that replicates, or gives it the password of today.
set -eu

PGPASSWORD=$(cat "${DATABASE_PASSWORD_FILE:-/run/secrets/database_password}")
export PGPASSWORD
REPLICATION_PASSWORD=$(cat "${REPLICATION_PASSWORD_FILE:-/run/secrets/replication_password}")
export REPLICATION_PASSWORD

psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 <<'SQL'
\getenv password REPLICATION_PASSWORD
SELECT 'CREATE ROLE replicator' WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'replicator') \gexec
ALTER ROLE replicator LOGIN REPLICATION PASSWORD :'password';
SQL
echo "the role replicator is ready"
