-- One row per customer: who they are, what they hold, and what they did.
-- @qualityRule {"rule": "unique", "columns": ["customer_id"], "severity": "fail"}
-- @qualityRule {"rule": "not_null", "column": "customer_id", "severity": "fail"}
-- @qualityRule {"rule": "row_count", "min": 1, "severity": "fail"}
-- @qualityRule {"rule": "expression", "name": "activity has an account", "sql": "accounts > 0 OR transactions = 0", "severity": "fail"}
-- @qualityRule {"rule": "allowed_values", "column": "customer_segment", "values": ["retail", "corporate", "wealth"]}
-- @qualityRule {"rule": "range", "column": "credit_score", "min": 300, "max": 850}
WITH holdings AS (
    SELECT customer_id,
           count(*) AS accounts,
           count(*) FILTER (WHERE status = 'active') AS active_accounts,
           sum(balance) AS total_balance
    FROM silver.accounts
    GROUP BY customer_id
),
activity AS (
    SELECT a.customer_id,
           count(*) AS transactions,
           sum(t.amount) FILTER (WHERE t.transaction_type = 'debit') AS spent,
           sum(t.amount) FILTER (WHERE t.transaction_type = 'credit') AS received,
           max(t.transaction_date) AS last_transaction_date
    FROM silver.transactions AS t
    JOIN silver.accounts AS a USING (account_id)
    WHERE t.status = 'completed'
    GROUP BY a.customer_id
)
SELECT c.customer_id,
       c.first_name || ' ' || c.last_name AS name,
       c.customer_segment,
       c.state,
       c.credit_score,
       coalesce(h.accounts, 0) AS accounts,
       coalesce(h.active_accounts, 0) AS active_accounts,
       coalesce(h.total_balance, 0) AS total_balance,
       coalesce(v.transactions, 0) AS transactions,
       coalesce(v.spent, 0) AS spent,
       coalesce(v.received, 0) AS received,
       v.last_transaction_date
FROM silver.customers AS c
LEFT JOIN holdings AS h USING (customer_id)
LEFT JOIN activity AS v USING (customer_id)
