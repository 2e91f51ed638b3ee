SELECT customer_id, transaction_id FROM source.transactions
QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY created_at DESC) = 1 ORDER BY customer_id
