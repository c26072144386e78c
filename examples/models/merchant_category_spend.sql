-- What customers spend, by merchant category and day. Only the days and categories that changed are rebuilt.
-- @buildStrategy incremental
-- @primaryKey merchant_category, transaction_date
-- @qualityRule {"rule": "unique", "columns": ["merchant_category", "transaction_date"], "severity": "fail"}
-- @qualityRule {"rule": "range", "column": "spent", "min": 0, "severity": "fail"}
-- @qualityRule {"rule": "expression", "name": "no account without a purchase", "sql": "accounts BETWEEN 1 AND purchases", "severity": "fail"}
-- @qualityRule {"rule": "not_null", "column": "merchant_category", "name": "every purchase has a category"}
SELECT merchant_category,
       transaction_date,
       count(*) AS purchases,
       count(DISTINCT account_id) AS accounts,
       sum(amount) AS spent
FROM silver.transactions
WHERE transaction_type = 'debit' AND status = 'completed'
GROUP BY merchant_category, transaction_date
