SELECT LENGTH(NORMALIZE('e\u0301')) AS a, ASCII('A') AS b, CHR(66) AS c, UNICODE('é') AS d, TRANSLATE('abc', 'ab', 'xy') AS e, CONTAINS_SUBSTR('BigQuery', 'QUERY') AS f, EDIT_DISTANCE('a', 'b') AS g
