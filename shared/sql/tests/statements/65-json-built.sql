SELECT TO_JSON_STRING(STRUCT(1 AS a, 'x' AS b, [1, 2] AS c)) AS a, JSON_VALUE(PARSE_JSON('{"k": {"a b": 5}}'), "$.k['a b']") AS b, JSON_VALUE_ARRAY('{"x": ["p", "q"]}', '$.x') AS c,
  CAST(JSON_VALUE('{"n": 7}', '$.n') AS INT64) + 1 AS d, ARRAY_LENGTH(JSON_QUERY_ARRAY('[1, 2, 3]')) AS e
