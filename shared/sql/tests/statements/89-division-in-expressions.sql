SELECT customer_id, SUM(amount) / COUNT(*) AS mean, ROUND(100 * COUNTIF(is_fraud) / COUNT(*), 1) AS percent FROM source.transactions GROUP BY customer_id HAVING COUNT(*) / 2 >= 1 ORDER BY customer_id
