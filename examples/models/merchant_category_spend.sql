-- What customers spend, by merchant category and day. Only the days and categories that changed are rebuilt.
-- @buildStrategy incremental
-- @primaryKey merchant_category, transaction_date
SELECT merchant_category,
       transaction_date,
       count(*) AS purchases,
       count(DISTINCT account_id) AS accounts,
       sum(amount) AS spent
FROM silver.transactions
WHERE transaction_type = 'debit' AND status = 'completed'
GROUP BY merchant_category, transaction_date
