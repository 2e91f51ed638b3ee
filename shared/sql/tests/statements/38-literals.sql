SELECT "double 'quoted'" AS a, 'it\'s' AS b, r'raw\n' AS c, """triple "quoted" text""" AS d, 0x1F AS e, 1.5e2 AS f, 'tab\there' = 'tab	here' AS g, DATE '2024-01-01' AS h, TRUE AS i
