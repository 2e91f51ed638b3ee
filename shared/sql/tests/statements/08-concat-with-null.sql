SELECT CONCAT('a', 'b', 'c') AS a, CONCAT('a', NULL) AS b, 'x' || 'y' AS c, 'x' || NULL AS d
