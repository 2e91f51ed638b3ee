SELECT SUBSTR('apple', 2) AS a, SUBSTR('apple', 2, 2) AS b, SUBSTR('apple', -2) AS c, SUBSTR('apple', 0, 2) AS d, SUBSTR('apple', -10, 2) AS e, SUBSTR('apple', 10) AS f, LEFT('apple', 2) AS g, RIGHT('apple', 2) AS h,
  SUBSTR(name, -5) AS i
FROM staging.customers WHERE customer_id = 11
