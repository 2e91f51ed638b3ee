SELECT
  ProductSubcategoryKey,
  ProductSubcategoryAlternateKey,
  EnglishProductSubcategoryName AS ProductSubcategoryName,
  IFNULL(ProductCategoryKey, 0) AS ProductCategoryKey
FROM source.dim_product_subcategory
