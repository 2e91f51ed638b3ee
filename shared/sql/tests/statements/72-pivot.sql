SELECT * FROM (SELECT customer_id, currency, amount FROM source.transactions) PIVOT (SUM(amount) FOR currency IN ('EUR', 'USD')) ORDER BY customer_id
