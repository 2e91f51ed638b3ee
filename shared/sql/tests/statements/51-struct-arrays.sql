SELECT item.sku, item.price * item.quantity AS total FROM UNNEST([STRUCT('a' AS sku, 2.5 AS price, 2 AS quantity), STRUCT('b', 1.0, 3)]) AS item ORDER BY item.sku
