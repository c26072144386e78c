-- Accounts that are not closed and had no completed transaction in the bank's last 180 days. Idle time is counted up to the
-- newest transaction that the lake has, not up to today: the answer changes when the data does.
-- @qualityRule {"rule": "unique", "columns": ["account_id"], "severity": "fail"}
-- @qualityRule {"rule": "reference", "columns": ["account_id"], "table": "accounts", "severity": "fail"}
-- @qualityRule {"rule": "range", "column": "idle_days", "min": 181, "severity": "fail"}
-- @qualityRule {"rule": "allowed_values", "column": "status", "values": ["active", "dormant"]}
WITH newest AS (
    SELECT max(transaction_date) AS day FROM silver.transactions WHERE status = 'completed'
),
last_seen AS (
    SELECT account_id, max(transaction_date) AS day
    FROM silver.transactions
    WHERE status = 'completed'
    GROUP BY account_id
)
SELECT a.account_id,
       a.customer_id,
       c.customer_segment,
       a.status,
       a.balance,
       l.day AS last_transaction_date,
       n.day - coalesce(l.day, a.open_date) AS idle_days
FROM silver.accounts AS a
JOIN silver.customers AS c USING (customer_id)
CROSS JOIN newest AS n
LEFT JOIN last_seen AS l USING (account_id)
WHERE a.status <> 'closed' AND n.day - coalesce(l.day, a.open_date) > 180
