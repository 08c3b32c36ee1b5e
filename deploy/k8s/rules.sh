#!/bin/sh
# The alerting rules as objects of the Prometheus operator: deploy/k8s/rules.sh | kubectl apply -f -
set -eu

for file in "$(dirname "$0")"/../observability/rules/*.yaml; do
  name=$(basename "$file" .yaml)
  cat <<END
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: kwe-$name
  namespace: kwe
  labels: {app.kubernetes.io/part-of: kwe}
spec:
END
  sed 's/^/  /' "$file"
done
