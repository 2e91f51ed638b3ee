-- Revenue of each product and day.
SELECT
  sold_on,
  product,
  SUM(quantity) AS pieces,
  SUM(quantity * price) AS revenue
FROM staging.sales
GROUP BY sold_on, product
