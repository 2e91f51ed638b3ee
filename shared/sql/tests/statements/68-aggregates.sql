SELECT COUNT(*) AS rows_, COUNT(amount) AS known, COUNT(DISTINCT currency) AS currencies, COUNTIF(is_fraud) AS frauds, SUM(amount) AS total, MIN(amount) AS low, MAX(amount) AS high, ROUND(AVG(amount), 4) AS mean,
  LOGICAL_OR(is_fraud) AS any_fraud, LOGICAL_AND(is_fraud) AS all_fraud, APPROX_COUNT_DISTINCT(customer_id) AS customers, MAX_BY(transaction_id, amount) AS largest, SUM(IF(is_fraud, 1, 0)) AS f
FROM source.transactions
