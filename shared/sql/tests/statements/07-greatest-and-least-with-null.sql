-- NULL when any argument is NULL.
SELECT GREATEST(1, 3, 2) AS a, GREATEST(1, NULL, 2) AS b, LEAST(4, 3) AS c, LEAST(NULL, 1) AS d, GREATEST('a', 'b') AS e
