SELECT UPPER('aé') AS a, LOWER('AB') AS b, LENGTH('héllo') AS c, BYTE_LENGTH('héllo') AS d, REVERSE('abc') AS e, REPEAT('ab', 3) AS f, REPLACE('banana', 'a', 'o') AS g,
  TRIM('  x\t') AS h, LTRIM('xxy', 'x') AS i, RTRIM('  y  ') AS j, STARTS_WITH('foobar', 'foo') AS k, ENDS_WITH('foobar', 'bar') AS l, STRPOS('foobar', 'o') AS m, STRPOS('foobar', 'z') AS n
