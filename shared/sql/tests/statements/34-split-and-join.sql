SELECT SPLIT('a,b,,c') AS a, SPLIT('a-b', '-')[OFFSET(1)] AS b, ARRAY_TO_STRING(['x', NULL, 'y'], '+') AS c, ARRAY_TO_STRING(['x', NULL, 'y'], '+', '?') AS d, ARRAY_LENGTH(SPLIT('a b c', ' ')) AS e
