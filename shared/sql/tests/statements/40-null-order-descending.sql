SELECT transaction_id FROM source.transactions ORDER BY amount DESC, transaction_id
