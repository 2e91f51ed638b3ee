SELECT currency, is_fraud, COUNT(*) AS n FROM source.transactions WHERE currency IS NOT NULL GROUP BY GROUPING SETS ((currency), (is_fraud)) ORDER BY currency, is_fraud
