SELECT t.transaction_id, tag, p FROM source.transactions AS t LEFT JOIN t.tags AS tag WITH OFFSET AS p WHERE t.transaction_id IN (2, 3) ORDER BY 1
