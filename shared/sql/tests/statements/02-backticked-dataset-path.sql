SELECT COUNT(*) AS n FROM `source.transactions` JOIN `staging`.`customers` USING (customer_id)
