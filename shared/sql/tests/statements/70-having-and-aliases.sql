SELECT customer_id AS customer, SUM(amount) AS total FROM source.transactions GROUP BY customer HAVING total > 10 ORDER BY total DESC
