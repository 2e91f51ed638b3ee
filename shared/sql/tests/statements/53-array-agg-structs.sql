SELECT customer_id, ARRAY_AGG(STRUCT(transaction_id AS id, currency) ORDER BY transaction_id) AS items FROM source.transactions WHERE customer_id = 10 GROUP BY customer_id
