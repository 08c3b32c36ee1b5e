-- name: find_api_key
-- By hash, before the organisation is known: the function sees every key and shows what authentication needs.
SELECT id, organization_id, scopes
FROM workflow.find_api_key($1);
