SELECT TIMESTAMP_ADD(created_at, INTERVAL 90 MINUTE) AS a, TIMESTAMP_SUB(created_at, INTERVAL 1 DAY) AS b, TIMESTAMP_TRUNC(created_at, HOUR) AS c,
  TIMESTAMP_TRUNC(created_at, DAY, 'America/New_York') AS d, TIMESTAMP_DIFF(created_at, TIMESTAMP '2024-01-31 00:00:01+00', HOUR) AS e,
  DATE(created_at) AS f, DATE(created_at, 'Asia/Tokyo') AS g, TIMESTAMP_TRUNC(created_at, WEEK) AS h
FROM source.transactions WHERE transaction_id = 1
