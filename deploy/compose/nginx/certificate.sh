#!/bin/sh
# Gives nginx the best certificate there is, and a renewed one without a restart. The image runs this before nginx.
#
# Your own files win over those of Let's Encrypt; without either a self-signed one lets nginx start, so that the
# challenge of Let's Encrypt can be answered at all.
set -eu

target=${TLS_TARGET:-/etc/nginx/tls}
own=${TLS_OWN:-/run/certificates}
issued=${TLS_ISSUED:-/etc/letsencrypt/live/kwe}
interval=${TLS_INTERVAL:-60}

source_folder() {
  for folder in "$own" "$issued"; do
    if [ -s "$folder/fullchain.pem" ] && [ -s "$folder/privkey.pem" ]; then
      echo "$folder"
      return
    fi
  done
}

# Prints nothing and fails when nothing changed.
take() {
  folder=$(source_folder)
  [ -n "$folder" ] || return 1
  if cmp -s "$folder/fullchain.pem" "$target/fullchain.pem" && cmp -s "$folder/privkey.pem" "$target/privkey.pem"; then
    return 1
  fi
  cp -L "$folder/fullchain.pem" "$folder/privkey.pem" "$target/"
  echo "certificate taken from $folder" >&2
}

self_signed() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=kwe (self-signed)" \
    -keyout "$target/privkey.pem" -out "$target/fullchain.pem" 2>/dev/null
  echo "no certificate in $own or $issued: a self-signed one is used" >&2
}

watch() {
  while sleep "$interval"; do
    if take; then
      nginx -t -q && nginx -s reload || echo "nginx keeps the certificate it had" >&2
    fi
  done
}

umask 077
mkdir -p "$target"
take || [ -s "$target/fullchain.pem" ] || self_signed
watch &
