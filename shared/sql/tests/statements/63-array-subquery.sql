SELECT transaction_id, ARRAY(SELECT UPPER(tag) FROM UNNEST(tags) AS tag WHERE tag != 'web' ORDER BY tag) AS others FROM source.transactions WHERE transaction_id IN (1, 2) ORDER BY transaction_id
