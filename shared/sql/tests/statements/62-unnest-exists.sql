SELECT transaction_id, EXISTS (SELECT 1 FROM UNNEST(tags) AS tag WHERE tag = 'new') AS is_new, (SELECT COUNT(*) FROM UNNEST(tags) AS tag WHERE STARTS_WITH(tag, 'w')) AS w
FROM source.transactions WHERE customer_id = 10 ORDER BY transaction_id
