SELECT EXTRACT(MONTH FROM created_at) AS month, COUNT(*) AS n FROM source.transactions GROUP BY 1 ORDER BY 1
