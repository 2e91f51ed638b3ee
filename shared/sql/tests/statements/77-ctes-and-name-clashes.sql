-- A CTE named like its dataset, as dbt models are written.
WITH source AS (SELECT * FROM source.transactions), renamed AS (SELECT transaction_id AS id, amount FROM source)
SELECT COUNT(*) AS n, SUM(amount) AS total FROM renamed
