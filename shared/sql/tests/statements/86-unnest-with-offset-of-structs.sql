SELECT item.sku, n FROM UNNEST([STRUCT('a' AS sku), STRUCT('b' AS sku)]) AS item WITH OFFSET n ORDER BY n DESC
