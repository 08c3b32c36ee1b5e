-- The keyword index, and the moment at which a revision becomes searchable.

-- name: outdated
-- Live chunks of documents that are about to be replaced or deleted.
SELECT c.ordinal, c.terms
FROM knowledge.chunks c
JOIN knowledge.revisions r ON r.id = c.revision_id
WHERE c.index_version_id = $1
  AND c.live
  AND r.collection_id = $2
  AND r.document_id = ANY ($3::text[]);

-- name: bury
INSERT INTO knowledge.tombstones (organization_id, index_version_id, ordinal)
SELECT $1, $2, ordinal
FROM unnest($3::integer[]) AS u (ordinal)
ON CONFLICT DO NOTHING;

-- name: delete_older_revisions
-- Their chunks and vectors go by the foreign keys.
DELETE FROM knowledge.revisions r
USING unnest($2::text[], $3::integer[]) AS u (document_id, version)
WHERE r.collection_id = $1
  AND r.document_id = u.document_id
  AND r.version < u.version;

-- name: make_live
UPDATE knowledge.chunks c
SET live  = true,
    terms = u.terms
FROM unnest($2::integer[], $3::integer[]) AS u (ordinal, terms)
WHERE c.index_version_id = $1
  AND c.ordinal = u.ordinal;

-- name: insert_segment
INSERT INTO knowledge.segments (organization_id, index_version_id, level, ordinals)
VALUES ($1, $2, $3, $4)
RETURNING id;

-- name: insert_postings
-- Arrays of unequal length cannot be sent as one parameter, so the lists come concatenated and are cut here.
WITH lists AS (
    SELECT term, chunks, sum(chunks) OVER (ORDER BY place) - chunks AS before
    FROM unnest($3::text[], $4::integer[]) WITH ORDINALITY AS u (term, chunks, place)
)
INSERT INTO knowledge.postings (organization_id, segment_id, term, ordinals, frequencies, lengths, chunks)
SELECT $1, $2, term,
       ($5::integer[])[before + 1 : before + chunks],
       ($6::smallint[])[before + 1 : before + chunks],
       ($7::smallint[])[before + 1 : before + chunks],
       chunks
FROM lists;

-- name: indexes_to_merge
-- Index versions with a level that has grown too wide.
SELECT DISTINCT index_version_id
FROM knowledge.segments
GROUP BY index_version_id, level
HAVING count(*) >= $1
LIMIT 16;

-- name: index_by_id
SELECT id, organization_id, collection_id, passage_size, embedding_provider, model, dimensions, vector_store
FROM knowledge.index_versions
WHERE id = $1;

-- name: lock_merging
-- One merge per index version, without waiting for another. 7341 marks locks of this kind.
SELECT pg_try_advisory_xact_lock(7341, hashint8($1));

-- name: widest_level
SELECT level, array_agg(id ORDER BY id) AS segments
FROM knowledge.segments
WHERE index_version_id = $1
GROUP BY level
HAVING count(*) >= $2
ORDER BY level
LIMIT 1;

-- name: surviving_ordinals
SELECT coalesce(array_agg(ordinal ORDER BY ordinal), '{}') AS ordinals
FROM knowledge.segments s, unnest(s.ordinals) AS ordinal
WHERE s.id = ANY ($1::bigint[])
  AND NOT EXISTS (SELECT FROM knowledge.tombstones t WHERE t.index_version_id = $2 AND t.ordinal = ordinal.ordinal);

-- name: merge_postings
INSERT INTO knowledge.postings (organization_id, segment_id, term, ordinals, frequencies, lengths, chunks)
SELECT $1, $2, p.term,
       array_agg(u.ordinal ORDER BY u.ordinal),
       array_agg(u.frequency ORDER BY u.ordinal),
       array_agg(u.length ORDER BY u.ordinal),
       count(*)
FROM knowledge.postings p,
     unnest(p.ordinals, p.frequencies, p.lengths) AS u (ordinal, frequency, length)
WHERE p.segment_id = ANY ($3::bigint[])
  AND u.ordinal NOT IN (SELECT t.ordinal FROM knowledge.tombstones t WHERE t.index_version_id = $4)
GROUP BY p.term;

-- name: forget_tombstones
-- Those whose chunks were in the merged segments, and so are in none any more.
DELETE FROM knowledge.tombstones t
USING knowledge.segments s, unnest(s.ordinals) AS buried (ordinal)
WHERE s.id = ANY ($1::bigint[])
  AND t.index_version_id = $2
  AND t.ordinal = buried.ordinal;

-- name: delete_segments
DELETE FROM knowledge.segments
WHERE id = ANY ($1::bigint[]);
