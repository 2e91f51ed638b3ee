-- Clean sales: missing quantities are one piece.
SELECT
  sale_id,
  sold_on,
  LOWER(TRIM(product)) AS product,
  IFNULL(quantity, 1) AS quantity,
  price
FROM source.sales
WHERE price IS NOT NULL
