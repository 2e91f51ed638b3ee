-- `/` of integers gives FLOAT64.
SELECT 7 / 2 AS a, DIV(7, 2) AS b, DIV(-7, 2) AS c, MOD(-7, 3) AS d, SAFE_DIVIDE(1, 0) AS e, SAFE_DIVIDE(6, 3) AS f,
  IEEE_DIVIDE(1, 0) AS g, 6 / 2 * 3 AS h, 1 / (2 + 2) AS i
