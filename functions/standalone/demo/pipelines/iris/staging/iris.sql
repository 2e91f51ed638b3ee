-- Clean measurements: the species without its prefix, exact repetitions dropped.
SELECT DISTINCT
  sepal_length,
  sepal_width,
  petal_length,
  petal_width,
  REGEXP_REPLACE(LOWER(species), r'^iris-', '') AS species
FROM source.iris
