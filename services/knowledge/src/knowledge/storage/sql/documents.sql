-- Documents and their revisions, as users see them.

-- name: ensure_documents
-- Version 0 has no revision; it is given one in the same transaction. In order of ids, so that two writers of the
-- same documents wait for one another instead of deadlocking.
INSERT INTO knowledge.documents (organization_id, collection_id, id, version)
SELECT $1, $2, id, 0
FROM unnest($3::text[]) AS u (id)
ORDER BY id
ON CONFLICT DO NOTHING;

-- name: lock_documents
SELECT d.id, d.version, d.status, d.chunks, r.content_hash
FROM knowledge.documents d
LEFT JOIN knowledge.revisions r
    ON r.collection_id = d.collection_id AND r.document_id = d.id AND r.version = d.version
WHERE d.organization_id = $1
  AND d.collection_id = $2
  AND d.id = ANY ($3::text[])
ORDER BY d.id
FOR UPDATE OF d;

-- name: restart_documents
-- Forgets claim and failures. $4 is 1 for a new revision and 0 for another go at the newest one.
UPDATE knowledge.documents
SET version       = version + $4,
    status        = 'pending',
    progress      = 0,
    error         = NULL,
    claim         = NULL,
    claimed_until = NULL,
    attempts      = 0,
    retry_at      = NULL,
    updated_at    = now()
WHERE organization_id = $1
  AND collection_id = $2
  AND id = ANY ($3::text[]);

-- name: insert_revisions
INSERT INTO knowledge.revisions (
    organization_id, collection_id, document_id, version, title, media_type, metadata, content_hash, body)
SELECT $1, $2, u.document_id, u.version, u.title, u.media_type, u.metadata::jsonb, u.content_hash, u.body
FROM unnest($3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[])
    AS u (document_id, version, title, media_type, metadata, content_hash, body);

-- name: overviews
SELECT o.id, o.version, o.status, o.progress, o.chunks, o.error, o.title, o.media_type, o.metadata::text AS metadata,
       o.characters, o.created_at, o.updated_at
FROM knowledge.document_overview o
WHERE o.organization_id = $1
  AND o.collection = $2
  AND o.id = ANY ($3::text[])
ORDER BY o.id;

-- name: overviews_after
SELECT o.id, o.version, o.status, o.progress, o.chunks, o.error, o.title, o.media_type, o.metadata::text AS metadata,
       o.characters, o.created_at, o.updated_at
FROM knowledge.document_overview o
WHERE o.organization_id = $1
  AND o.collection = $2
  AND o.id > $3
ORDER BY o.id
LIMIT $4;

-- name: lock_document
SELECT id
FROM knowledge.documents
WHERE organization_id = $1
  AND collection_id = $2
  AND id = $3
FOR UPDATE;

-- name: delete_document
-- Its revisions go with it, and with them the chunks and vectors.
DELETE FROM knowledge.documents
WHERE organization_id = $1
  AND collection_id = $2
  AND id = $3;
