SELECT EXTRACT(HOUR FROM created_at) AS h, EXTRACT(HOUR FROM created_at AT TIME ZONE 'America/New_York') AS local, EXTRACT(MILLISECOND FROM created_at) AS ms,
  EXTRACT(MICROSECOND FROM created_at) AS us, EXTRACT(SECOND FROM created_at) AS s, EXTRACT(DATE FROM created_at) AS d
FROM source.transactions WHERE transaction_id = 4
