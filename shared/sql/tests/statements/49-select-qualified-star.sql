SELECT c.*, t.amount FROM staging.customers AS c JOIN source.transactions AS t USING (customer_id) WHERE t.transaction_id = 5
