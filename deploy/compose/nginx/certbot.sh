#!/bin/sh
# Gets a certificate for DOMAIN (several: separated by commas) and keeps it fresh. nginx notices by itself.
set -eu

if [ -z "${DOMAIN:-}" ] || [ -z "${CERTBOT_EMAIL:-}" ]; then
  echo "DOMAIN and CERTBOT_EMAIL are needed for a certificate: set both in .env beside compose.yaml" >&2
  exit 2
fi

certbot certonly --non-interactive --agree-tos --email "$CERTBOT_EMAIL" --cert-name kwe --keep-until-expiring \
  --webroot --webroot-path /var/www/acme --domains "$DOMAIN" ${CERTBOT_SERVER:+--server "$CERTBOT_SERVER"}
while sleep 43200; do
  certbot renew --quiet || echo "renewal failed; it is tried again in 12 hours" >&2
done
