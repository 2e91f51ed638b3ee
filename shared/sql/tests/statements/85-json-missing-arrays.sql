SELECT JSON_VALUE_ARRAY('{}', '$.x') AS a, JSON_QUERY_ARRAY('{"x": 5}', '$.x') AS b
