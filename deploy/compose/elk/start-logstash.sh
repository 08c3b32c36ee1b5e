#!/bin/bash
# The pipeline reads the password from the environment of Logstash alone, not from the container's description.
set -euo pipefail
ELASTIC_PASSWORD=$(cat /run/secrets/elastic_password)
export ELASTIC_PASSWORD
exec /usr/local/bin/docker-entrypoint
