-- name: list_dead_letters
-- Messages that were set aside, newest first.
SELECT id, execution_id, stream, reason, detail, created_at, redriven_at, octet_length(entry) AS size
FROM workflow.dead_letters
WHERE organization_id = $1 AND id < $2 AND ($4::boolean IS NULL OR (redriven_at IS NOT NULL) = $4)
ORDER BY id DESC
LIMIT $3;

-- name: list_api_keys
-- Newest first; revoked and expired ones too, as a record.
SELECT id, name, scopes, created_at, expires_at, revoked_at
FROM workflow.api_keys
WHERE organization_id = $1 AND id < $2
ORDER BY id DESC
LIMIT $3;

-- name: count_unfinished
SELECT count(*) AS unfinished
FROM workflow.workflow_executions
WHERE organization_id = $1 AND finished_at IS NULL;

-- name: orphans
-- Promise 5 as a query: unfinished executions without a live reason. A wait lives in the transaction that opens it,
-- so even one row here is a bug. Old ones first.
SELECT e.id, e.workflow_id, e.semver, e.status, e.created_at, e.updated_at
FROM workflow.workflow_executions AS e
WHERE e.organization_id = $1 AND e.finished_at IS NULL
  AND NOT EXISTS (SELECT FROM workflow.waits AS w WHERE w.execution_id = e.id)
ORDER BY e.id
LIMIT $2;

-- name: waits_by_kind
-- What everything unfinished is waiting for.
SELECT kind, count(*) AS waits, min(opened_at) AS oldest
FROM workflow.waits
WHERE organization_id = $1
GROUP BY kind
ORDER BY kind;

-- name: organizations
SELECT id, name, max_concurrent_executions, created_at
FROM workflow.organizations
ORDER BY id;

-- name: partitions
-- How many partitions the installation has; it decides which stream speaks for an execution.
SELECT partitions
FROM workflow.installation;

-- name: list_secrets
SELECT name, version, updated_at FROM workflow.secrets
WHERE organization_id = $1 AND name > $2
ORDER BY name
LIMIT $3;
