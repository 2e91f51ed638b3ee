-- The latest currency of each customer that is known.
SELECT customer_id, ARRAY_AGG(currency IGNORE NULLS ORDER BY created_at DESC LIMIT 1)[SAFE_OFFSET(0)] AS currency, ARRAY_AGG(transaction_id ORDER BY amount DESC) AS by_amount
FROM source.transactions GROUP BY customer_id ORDER BY customer_id
