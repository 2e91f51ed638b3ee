-- What the classifier learns from: the measurements and two shapes derived from them.
SELECT
  sepal_length,
  sepal_width,
  petal_length,
  petal_width,
  ROUND(SAFE_DIVIDE(petal_length, petal_width), 4) AS petal_ratio,
  ROUND(sepal_length * sepal_width, 4) AS sepal_area,
  species
FROM staging.iris
