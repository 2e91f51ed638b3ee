-- Transactions of the last 24 hours, by seconds.
SELECT transaction_id, COUNT(*) OVER (ORDER BY UNIX_SECONDS(created_at) RANGE BETWEEN 86400 PRECEDING AND CURRENT ROW) AS recent FROM source.transactions ORDER BY transaction_id
