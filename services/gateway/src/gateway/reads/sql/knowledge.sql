-- name: list_collections
SELECT id, name, description, created_at, index_version, embedding_provider, model, dimensions, vector_store,
       passage_size, chunks
FROM knowledge.collection_overview
WHERE organization_id = $1 AND name > $2
ORDER BY name
LIMIT $3;

-- name: get_collection
SELECT id, name, description, created_at, index_version, embedding_provider, model, dimensions, vector_store,
       passage_size, chunks
FROM knowledge.collection_overview
WHERE organization_id = $1 AND name = $2;

-- name: document_counts
-- How many documents of a collection are in each status.
SELECT status, count(*) AS documents
FROM knowledge.documents
WHERE organization_id = $1 AND collection_id = $2
GROUP BY status;

-- name: list_documents
SELECT id, version, status, progress, chunks, error, attempts, title, media_type, metadata, characters, created_at,
       updated_at
FROM knowledge.document_overview
WHERE organization_id = $1 AND collection_id = $2 AND id > $3 AND ($5::text IS NULL OR status = $5)
ORDER BY id
LIMIT $4;

-- name: get_document
SELECT id, version, status, progress, chunks, error, attempts, title, media_type, metadata, characters, created_at,
       updated_at
FROM knowledge.document_overview
WHERE organization_id = $1 AND collection = $2 AND id = $3;
