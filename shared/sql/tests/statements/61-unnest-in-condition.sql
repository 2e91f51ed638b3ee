SELECT transaction_id FROM source.transactions WHERE 'web' IN UNNEST(tags) AND customer_id IN UNNEST([10, 12]) ORDER BY transaction_id
