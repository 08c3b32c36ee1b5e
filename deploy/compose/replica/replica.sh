#!/bin/sh
# A replica: copies the primary into an empty volume once, then follows it.
set -eu

data=${PGDATA:?}
slot=${REPLICATION_SLOT:-kwe_replica}
password=$(cat "${REPLICATION_PASSWORD_FILE:-/run/secrets/replication_password}")
# By a password file: every process may read arguments.
export PGPASSFILE=${TMPDIR:-/tmp}/pgpass
umask 077
printf '*:*:*:replicator:%s\n' "$(printf %s "$password" | sed 's/[:\\]/\\&/g')" >"$PGPASSFILE"
primary="host=${PRIMARY_HOST:?} port=${PRIMARY_PORT:-5432} user=replicator application_name=$slot passfile=$PGPASSFILE"

slot_exists() {
  psql "$primary dbname=postgres" --no-psqlrc --tuples-only --no-align --quiet \
    --command "SELECT 1 FROM pg_replication_slots WHERE slot_name = '$slot'" | grep -q 1
}

if [ ! -s "$data/PG_VERSION" ]; then
  # What an interrupted copy left behind.
  find "$data" -mindepth 1 -delete
  create=--create-slot
  if slot_exists; then create=; fi
  pg_basebackup --dbname "$primary" --pgdata "$data" --wal-method stream --slot "$slot" $create \
    --write-recovery-conf --checkpoint fast --no-password
fi
chmod 0700 "$data"

exec postgres -D "$data" -p "${PGPORT:-5432}" -c hot_standby=on -c hot_standby_feedback=on -c max_connections=300 \
  -c primary_slot_name="$slot"
