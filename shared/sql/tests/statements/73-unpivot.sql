SELECT id, sales, quarter FROM (SELECT 'a' AS id, 1 AS q1, 2 AS q2) UNPIVOT (sales FOR quarter IN (q1, q2)) ORDER BY quarter
