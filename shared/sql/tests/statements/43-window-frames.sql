SELECT transaction_id, SUM(amount) OVER (PARTITION BY customer_id ORDER BY created_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running,
  COUNT(*) OVER () AS n, LAG(transaction_id, 1, -1) OVER (ORDER BY transaction_id) AS previous, LEAD(transaction_id) OVER (ORDER BY transaction_id) AS next
FROM source.transactions ORDER BY transaction_id
