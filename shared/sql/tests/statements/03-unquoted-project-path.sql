SELECT COUNT(*) AS n FROM acme-prod.staging.customers
