-- Ascending: NULLs first; descending: NULLs last.
SELECT transaction_id, amount FROM source.transactions ORDER BY amount LIMIT 2
