SELECT transaction_id, JSON_VALUE(payload, '$.device.os') AS os, JSON_EXTRACT_SCALAR(payload, '$.device.version') AS version, JSON_VALUE(payload, '$.device') AS not_scalar, JSON_QUERY(payload, '$.items') AS items
FROM source.transactions WHERE transaction_id IN (1, 2, 4) ORDER BY transaction_id
