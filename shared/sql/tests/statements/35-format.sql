SELECT FORMAT('%05d', 42) AS a, FORMAT('%s has %d', name, customer_id) AS b, FORMAT('%.2f%%', 12.345) AS c FROM staging.customers WHERE customer_id = 10
