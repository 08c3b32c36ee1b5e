-- Collections and the index versions made of them.

-- name: insert_collection
-- Nothing is returned when the name is taken.
INSERT INTO knowledge.collections (id, organization_id, name, description)
VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: insert_index_version
INSERT INTO knowledge.index_versions (
    organization_id, collection_id, number, status, passage_size, embedding_provider, model, dimensions, vector_store)
VALUES ($1, $2, 1, 'active', $3, $4, $5, $6, $7);

-- name: overview
SELECT id, name, description, created_at, index_version, embedding_provider, model, dimensions, vector_store,
       passage_size, chunks
FROM knowledge.collection_overview
WHERE organization_id = $1
  AND name = $2;

-- name: overviews_after
-- One page, in order of names.
SELECT id, name, description, created_at, index_version, embedding_provider, model, dimensions, vector_store,
       passage_size, chunks
FROM knowledge.collection_overview
WHERE organization_id = $1
  AND name > $2
ORDER BY name
LIMIT $3;

-- name: active_index_by_name
SELECT i.id, i.organization_id, i.collection_id, i.passage_size, i.embedding_provider, i.model, i.dimensions,
       i.vector_store
FROM knowledge.index_versions i
JOIN knowledge.collections c ON c.id = i.collection_id
WHERE c.organization_id = $1
  AND c.name = $2
  AND i.status = 'active';

-- name: active_index_by_collection
SELECT id, organization_id, collection_id, passage_size, embedding_provider, model, dimensions, vector_store
FROM knowledge.index_versions
WHERE collection_id = $1
  AND status = 'active';

-- name: delete_collection
-- Everything that was made of it goes with it, by the foreign keys.
DELETE FROM knowledge.collections
WHERE organization_id = $1
  AND name = $2
RETURNING id;

-- name: lock_index
-- One publication at a time per index version: its totals and ordinals are read, then written.
SELECT live_chunks, live_terms
FROM knowledge.index_versions
WHERE id = $1
FOR NO KEY UPDATE;

-- name: take_ordinals
-- The first of $2 fresh ordinals.
UPDATE knowledge.index_versions
SET next_ordinal = next_ordinal + $2
WHERE id = $1
RETURNING next_ordinal - $2;

-- name: adjust_totals
UPDATE knowledge.index_versions
SET live_chunks = live_chunks + $2,
    live_terms  = live_terms + $3
WHERE id = $1;
