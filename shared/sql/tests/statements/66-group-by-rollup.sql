SELECT currency, customer_id, COUNT(*) AS n FROM source.transactions WHERE currency IS NOT NULL GROUP BY ROLLUP (currency, customer_id) ORDER BY currency, customer_id
