SELECT PARSE_DATE('%d/%m/%Y', '07/02/2024') AS a, PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%S', '2024-02-07 08:09:10') AS b, PARSE_TIMESTAMP('%F %T', '2024-07-01 00:00:00', 'Europe/Berlin') AS c,
  PARSE_DATETIME('%Y%m%d%H%M', '202402070809') AS d, SAFE.PARSE_DATE('%Y-%m-%d', 'not a date') AS e, PARSE_DATE('%Y%m%d', '20240229') AS f, PARSE_TIME('%H:%M', '07:05') AS g
