-- name: lock_workflow
-- Two registrations of one workflow take turns, so that registration numbers have no gap.
SELECT pg_advisory_xact_lock(hashtextextended('kwe.workflow.' || $1::text || $2::text, 0));

-- name: registered
SELECT version, fingerprint, created_at FROM workflow.workflows
WHERE organization_id = $1 AND id = $2 AND semver = $3;

-- name: register
INSERT INTO workflow.workflows (organization_id, id, version, namespace, name, semver, config, fingerprint)
SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6::jsonb, $7
FROM workflow.workflows WHERE organization_id = $1 AND id = $2
RETURNING version, created_at;

-- name: declare_function
INSERT INTO workflow.functions (name, version, queue, description, input_schema, output_schema, at_most_once)
VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7)
ON CONFLICT (name, version) DO UPDATE
SET queue = excluded.queue, description = excluded.description, input_schema = excluded.input_schema,
    output_schema = excluded.output_schema, at_most_once = excluded.at_most_once, updated_at = now();

-- name: create_organization
INSERT INTO workflow.organizations (id, name, max_concurrent_executions) VALUES ($1, $2, $3)
ON CONFLICT (id) DO NOTHING
RETURNING created_at;

-- name: organization
SELECT name, created_at FROM workflow.organizations WHERE id = $1;

-- name: create_api_key
-- Whether there is such an organisation; made only then.
WITH owner AS (
    SELECT id FROM workflow.organizations WHERE id = $2
), made AS (
    INSERT INTO workflow.api_keys (id, organization_id, hash, name, scopes, expires_at)
    SELECT $1, owner.id, decode($3, 'hex'), $4, $5, to_timestamp($6::bigint / 1000.0) FROM owner
    ON CONFLICT (id) DO NOTHING
)
SELECT EXISTS (SELECT FROM owner);

-- name: revoke_api_key
-- Kept as a record of who had access. The first revocation counts.
UPDATE workflow.api_keys SET revoked_at = coalesce(revoked_at, now())
WHERE id = $1 AND organization_id = $2
RETURNING id;

-- name: set_aside
INSERT INTO workflow.dead_letters (id, organization_id, execution_id, stream, reason, detail, entry)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: redrive
UPDATE workflow.dead_letters SET redriven_at = now()
WHERE id = $1 AND organization_id = $2
RETURNING stream, entry;
