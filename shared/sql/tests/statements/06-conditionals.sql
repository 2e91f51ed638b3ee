SELECT IF(1 > 0, 'yes', 'no') AS a, IFNULL(NULL, 'x') AS b, NULLIF(5, 5) AS c, COALESCE(NULL, NULL, 3) AS d,
  CASE 3 WHEN 1 THEN 'one' WHEN 3 THEN 'three' END AS e, IF(NULL, 1, 2) AS f
