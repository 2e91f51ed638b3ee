SELECT transaction_id, FIRST_VALUE(transaction_id) OVER w AS first, LAST_VALUE(amount IGNORE NULLS) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last,
  RANK() OVER w AS position
FROM source.transactions WINDOW w AS (PARTITION BY customer_id ORDER BY transaction_id) ORDER BY transaction_id
