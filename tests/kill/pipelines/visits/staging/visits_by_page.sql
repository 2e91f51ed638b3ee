SELECT page, COUNT(*) AS visits, COUNT(DISTINCT visitor) AS visitors
FROM source.visits
GROUP BY page
