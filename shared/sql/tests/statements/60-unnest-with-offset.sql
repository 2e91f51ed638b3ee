SELECT tag, position FROM source.transactions, UNNEST(tags) AS tag WITH OFFSET AS position WHERE transaction_id = 5 ORDER BY position
