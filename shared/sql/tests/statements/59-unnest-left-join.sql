SELECT t.transaction_id, tag FROM source.transactions AS t LEFT JOIN UNNEST(t.tags) AS tag ORDER BY t.transaction_id, tag
