SELECT REGEXP_CONTAINS(email, r'@example\.com$') AS a, REGEXP_EXTRACT(email, r'@(.+)$') AS domain, REGEXP_EXTRACT(email, r'^[a-z]+') AS whole, REGEXP_EXTRACT(email, r'z{9}') AS none,
  REGEXP_REPLACE(email, r'([a-z]+)@', r'<\1>@') AS replaced
FROM staging.customers ORDER BY customer_id
