-- A whole path in one pair of backticks, with a project.
SELECT t.transaction_id FROM `acme-prod.source.transactions` AS t WHERE t.customer_id = 12
