-- One row a product, with the names of its subcategory and category.
SELECT
  product.* EXCEPT (ProductSubcategoryKey),
  IFNULL(subcategory.ProductSubcategoryName, 'Unknown') AS ProductSubcategoryName,
  IFNULL(category.ProductCategoryName, 'Unknown') AS ProductCategoryName
FROM staging.stg_product AS product
LEFT JOIN staging.stg_product_subcategory AS subcategory USING (ProductSubcategoryKey)
LEFT JOIN staging.stg_product_category AS category USING (ProductCategoryKey)
