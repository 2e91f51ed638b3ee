SELECT
  ProductCategoryKey,
  ProductCategoryAlternateKey,
  EnglishProductCategoryName AS ProductCategoryName
FROM source.dim_product_category
