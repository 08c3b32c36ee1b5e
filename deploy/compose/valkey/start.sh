#!/bin/sh
# Hands the password to the server by a file in memory that only it can read, then starts it as its own user.
set -eu

secret=${PASSWORD_FILE:-/run/secrets/redis_password}
target=${PASSWORD_CONFIG:-/run/valkey/password.conf}

password=$(cat "$secret")
if [ -z "$password" ]; then
  echo "$secret is empty: write the password into it" >&2
  exit 2
fi
umask 077
printf 'requirepass "%s"\n' "$(printf %s "$password" | sed 's/["\\]/\\&/g')" >"$target"
if [ "$(id -u)" = 0 ] && id valkey >/dev/null 2>&1; then
  chown valkey "$target"
fi
exec "${ENTRYPOINT:-docker-entrypoint.sh}" valkey-server "${CONFIG:-/etc/valkey/valkey.conf}"
