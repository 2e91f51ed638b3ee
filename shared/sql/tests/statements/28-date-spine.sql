-- A row for each day, with or without transactions.
WITH days AS (SELECT day FROM UNNEST(GENERATE_DATE_ARRAY('2024-01-31', '2024-02-02')) AS day)
SELECT day, COUNT(t.transaction_id) AS n FROM days LEFT JOIN source.transactions AS t ON DATE(t.created_at) = day GROUP BY day ORDER BY day
