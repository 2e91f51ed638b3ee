-- The window's own ORDER BY puts NULLs first too.
SELECT transaction_id, ROW_NUMBER() OVER (ORDER BY amount) AS position FROM source.transactions ORDER BY transaction_id
