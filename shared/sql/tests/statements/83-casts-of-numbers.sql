-- A FLOAT64 is rounded half away from zero; a number is written without the zeros that end it.
SELECT CAST(CAST(2.5 AS FLOAT64) AS INT64) AS a, CAST(CAST(-2.5 AS FLOAT64) AS INT64) AS b, CAST(amount AS STRING) AS c, CONCAT('n', CAST(CAST(3 AS FLOAT64) AS STRING)) AS d, SAFE_CAST(name AS INT64) AS e
FROM source.transactions JOIN staging.customers USING (customer_id) WHERE transaction_id = 1
