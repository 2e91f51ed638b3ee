-- The tables the statements read, in DuckDB's own SQL.
CREATE SCHEMA source;
CREATE SCHEMA staging;
CREATE TABLE source.transactions (
    transaction_id BIGINT, customer_id BIGINT, amount DECIMAL(38, 9), currency VARCHAR, created_at TIMESTAMPTZ,
    is_fraud BOOLEAN, merchant STRUCT("name" VARCHAR, country VARCHAR), tags VARCHAR[], payload VARCHAR
);
INSERT INTO source.transactions VALUES
    (1, 10, 100.50, 'EUR', '2024-01-31 23:30:00+00', false, {'name': 'Alpha', 'country': 'DE'}, ['web', 'new'], '{"device": {"os": "ios", "version": 17}, "items": [1, 2]}'),
    (2, 10, 20.00, 'EUR', '2024-02-01 00:15:00+00', true, {'name': 'Beta', 'country': 'FR'}, ['web'], '{"device": {"os": "android"}, "items": []}'),
    (3, 11, NULL, 'USD', '2024-02-04 12:00:00+00', false, {'name': 'Alpha', 'country': 'DE'}, [], '{"items": null}'),
    (4, 11, 7.25, NULL, '2024-02-05 08:45:30.123456+00', NULL, NULL, NULL, NULL),
    (5, 12, 55.00, 'USD', '2024-03-01 00:00:00+00', true, {'name': 'Gamma', 'country': 'US'}, ['pos', 'repeat', 'web'], '{"device": {"os": "ios"}}');
CREATE TABLE staging.customers (customer_id BIGINT, "name" VARCHAR, email VARCHAR, born DATE, signed_up TIMESTAMP);
INSERT INTO staging.customers VALUES
    (10, 'ada lovelace', 'ada@example.com', '1990-12-10', '2023-12-31 10:00:00'),
    (11, 'grace hopper', 'grace@navy.example.org', '1986-12-09', '2024-01-07 09:30:00'),
    (12, 'o''neil-smith', NULL, '2000-02-29', NULL);
