-- A model as people write it: features of each customer from their transactions.
WITH daily AS (
  SELECT customer_id, DATE(created_at) AS day, COUNT(*) AS n, SUM(IFNULL(amount, 0)) AS spent, COUNTIF(is_fraud) AS frauds
  FROM `source.transactions` GROUP BY customer_id, day
),
ranked AS (
  SELECT *, SUM(spent) OVER (PARTITION BY customer_id ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS spent_7_rows FROM daily
)
SELECT c.customer_id, INITCAP(SPLIT(c.name, ' ')[SAFE_OFFSET(0)]) AS first_name, DATE_DIFF(DATE '2024-03-01', c.born, YEAR) AS age, r.day, r.spent_7_rows, SAFE_DIVIDE(r.frauds, r.n) AS fraud_rate
FROM ranked AS r JOIN staging.customers AS c USING (customer_id)
QUALIFY ROW_NUMBER() OVER (PARTITION BY c.customer_id ORDER BY r.day DESC) = 1
ORDER BY c.customer_id
