#!/bin/bash
# What Elasticsearch must know before Logstash and Kibana come: Kibana's password, and how long logs are kept.
set -euo pipefail

address=${ELASTICSEARCH:-http://elasticsearch:9200}
password=$(cat "${ELASTIC_PASSWORD_FILE:-/run/secrets/elastic_password}")
kibana=$(cat "${KIBANA_PASSWORD_FILE:-/run/secrets/kibana_password}")

# The credentials by standard input: arguments are visible to every process.
put() {
  printf 'user = "elastic:%s"\n' "$(printf %s "$password" | sed 's/["\\]/\\&/g')" |
    curl --silent --show-error --fail --config - --request "$1" --header 'Content-Type: application/json' \
      --data-binary @<(printf %s "$3") --output /dev/null "$address$2"
}

json_text() {
  printf '"%s"' "$(printf %s "$1" | sed 's/["\\]/\\&/g')"
}

put POST /_security/user/kibana_system/_password "{\"password\": $(json_text "$kibana")}"
put PUT /_ilm/policy/kwe-logs "{\"policy\": {\"phases\": {
  \"hot\": {\"actions\": {\"rollover\": {\"max_age\": \"1d\", \"max_primary_shard_size\": \"10gb\"}}},
  \"delete\": {\"min_age\": \"${LOGS_RETENTION:-14d}\", \"actions\": {\"delete\": {}}}}}}"
put PUT /_index_template/kwe-logs '{
  "index_patterns": ["logs-kwe-*"], "data_stream": {}, "priority": 500, "composed_of": ["logs@mappings"],
  "template": {
    "settings": {"index.lifecycle.name": "kwe-logs", "number_of_replicas": 0, "index.mapping.ignore_malformed": true},
    "mappings": {"properties": {
      "service": {"type": "keyword"}, "level": {"type": "keyword"}, "event": {"type": "keyword"},
      "workflowId": {"type": "keyword"}, "organizationId": {"type": "keyword"}, "executionId": {"type": "keyword"},
      "taskId": {"type": "keyword"}, "correlationId": {"type": "keyword"}, "trace_id": {"type": "keyword"}}}}}'
echo "Elasticsearch is prepared: logs are kept for ${LOGS_RETENTION:-14d}"
