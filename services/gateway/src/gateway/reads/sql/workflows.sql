-- name: list_workflows
-- The newest registration of each workflow, in order of their ids; $2 is the last id of the page before.
SELECT w.id, w.namespace, w.name, w.version, w.semver, w.fingerprint, w.created_at,
       w.config #> '{document,title}' AS title, w.config #> '{document,summary}' AS summary,
       w.config #> '{document,tags}' AS tags
FROM (
    SELECT DISTINCT ON (id) id, version
    FROM workflow.workflows
    WHERE organization_id = $1 AND id > $2 AND ($3::text IS NULL OR namespace = $3)
    ORDER BY id, version DESC
    LIMIT $4
) AS newest
JOIN workflow.workflows AS w ON w.organization_id = $1 AND w.id = newest.id AND w.version = newest.version
ORDER BY w.id;

-- name: get_workflow
-- The newest registration of one workflow.
SELECT id, namespace, name, version, semver, fingerprint, created_at, config
FROM workflow.workflows
WHERE organization_id = $1 AND id = $2
ORDER BY version DESC
LIMIT 1;

-- name: get_workflow_version
-- One registration, by its semantic version.
SELECT id, namespace, name, version, semver, fingerprint, created_at, config
FROM workflow.workflows
WHERE organization_id = $1 AND id = $2 AND semver = $3;

-- name: list_versions
-- Registrations of one workflow, newest first; $3 is the last registration number of the page before.
SELECT id, namespace, name, version, semver, fingerprint, created_at,
       config #> '{document,title}' AS title, config #> '{document,summary}' AS summary,
       config #> '{document,tags}' AS tags
FROM workflow.workflows
WHERE organization_id = $1 AND id = $2 AND version < $3
ORDER BY version DESC
LIMIT $4;

-- name: list_functions
-- Own functions, as the executors that serve them declared them. The same for every organisation.
SELECT name, version, queue, description, input_schema, output_schema, at_most_once
FROM workflow.functions
ORDER BY name, version;
