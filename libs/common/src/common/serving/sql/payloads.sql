-- name: save_payload
-- Written once under an id of its own; a repeat after an unknown commit finds the row there.
INSERT INTO workflow.payloads (owner_id, id, organization_id, sha256, bytes)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (owner_id, id) DO NOTHING;

-- name: load_payload
-- The organisation is part of the question, so that a forged reference finds nothing of others.
SELECT bytes
FROM workflow.payloads
WHERE owner_id = $1
  AND id = $2
  AND organization_id = $3;
