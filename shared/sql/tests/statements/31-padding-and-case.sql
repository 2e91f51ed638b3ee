SELECT LPAD('7', 3, '0') AS a, RPAD('ab', 4) || '|' AS b, LPAD('abcdef', 3) AS c, INITCAP(name) AS d FROM staging.customers ORDER BY customer_id
