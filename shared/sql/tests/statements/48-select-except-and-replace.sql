SELECT * EXCEPT (payload, tags, merchant, created_at) REPLACE (COALESCE(amount, 0) AS amount) FROM source.transactions WHERE transaction_id = 3
