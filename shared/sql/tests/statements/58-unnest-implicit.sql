-- An array of a row, as a FROM item by its path.
SELECT t.transaction_id, tag FROM source.transactions t, t.tags AS tag WHERE t.transaction_id = 5 ORDER BY tag
