SELECT t.transaction_id, tag FROM source.transactions AS t, UNNEST(t.tags) AS tag WHERE t.customer_id = 10 ORDER BY t.transaction_id, tag
