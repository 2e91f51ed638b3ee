SELECT c.customer_id, COUNT(t.transaction_id) AS n FROM staging.customers c LEFT JOIN source.transactions t ON t.customer_id = c.customer_id AND t.is_fraud GROUP BY c.customer_id ORDER BY 1
