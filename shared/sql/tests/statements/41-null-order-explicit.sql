SELECT transaction_id FROM source.transactions ORDER BY amount NULLS LAST LIMIT 1
