SELECT 0.1 + 0.2 = 0.3 AS a, NUMERIC '0.1' + NUMERIC '0.2' = NUMERIC '0.3' AS b, 1. AS c, .5 AS d, amount * 2 AS e FROM source.transactions WHERE amount > 100.25
