SELECT REGEXP_EXTRACT_ALL('a1b22c333', r'[0-9]+') AS a, REGEXP_EXTRACT_ALL('k1=v1;k2=v2', r'(?:k[0-9])=(v[0-9])') AS b, REGEXP_EXTRACT('x-(y)', r'\(([a-z])\)') AS c
