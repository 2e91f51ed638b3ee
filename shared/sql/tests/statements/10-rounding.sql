-- Halfway cases go away from zero.
SELECT ROUND(2.5) AS a, ROUND(-2.5) AS b, ROUND(NUMERIC '1.255', 2) AS c, ROUND(1234, -2) AS d, TRUNC(-1.9) AS e, TRUNC(1.789, 2) AS f,
  CEIL(1.2) AS g, FLOOR(-1.2) AS h, ROUND(CAST(0.125 AS FLOAT64), 2) AS i
