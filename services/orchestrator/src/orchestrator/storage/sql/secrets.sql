-- name: set_secret
-- A command that is delivered again changes nothing.
INSERT INTO workflow.secrets AS secret (organization_id, name, envelope, key_id, set_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (organization_id, name) DO UPDATE
SET envelope = excluded.envelope, key_id = excluded.key_id,
    version = secret.version + (secret.set_by <> excluded.set_by)::integer,
    set_by = excluded.set_by, updated_at = now()
RETURNING version, updated_at;

-- name: delete_secret
DELETE FROM workflow.secrets WHERE organization_id = $1 AND name = $2 RETURNING name;

-- name: read_secrets
SELECT name, envelope FROM workflow.secrets WHERE organization_id = $1 AND name = ANY ($2::text[]);
