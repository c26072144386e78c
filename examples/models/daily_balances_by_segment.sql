-- Closing balance of every day by customer segment: the present balances, less all that was booked after that day.
-- Days run from the first to the last completed transaction of the bank; a day without one keeps the balance.
-- @qualityRule {"rule": "unique", "columns": ["day", "customer_segment"], "severity": "fail"}
-- @qualityRule {"rule": "not_null", "column": "closing_balance", "severity": "fail"}
-- @qualityRule {"rule": "row_count", "min": 1}
WITH booked AS (
    SELECT c.customer_segment,
           t.transaction_date,
           CASE t.transaction_type WHEN 'credit' THEN t.amount ELSE -t.amount END AS amount
    FROM silver.transactions AS t
    JOIN silver.accounts AS a USING (account_id)
    JOIN silver.customers AS c USING (customer_id)
    WHERE t.status = 'completed'
),
days AS (
    SELECT CAST(unnest(generate_series(min(transaction_date), max(transaction_date), INTERVAL 1 DAY)) AS DATE) AS day
    FROM booked
),
present AS (
    SELECT c.customer_segment, sum(a.balance) AS balance
    FROM silver.accounts AS a
    JOIN silver.customers AS c USING (customer_id)
    GROUP BY c.customer_segment
),
moved AS (
    SELECT d.day, p.customer_segment, p.balance, coalesce(sum(b.amount), 0) AS net_movement
    FROM days AS d
    CROSS JOIN present AS p
    LEFT JOIN booked AS b ON b.transaction_date = d.day AND b.customer_segment = p.customer_segment
    GROUP BY ALL
)
SELECT day,
       customer_segment,
       balance - coalesce(sum(net_movement) OVER later, 0) AS closing_balance,
       net_movement
FROM moved
WINDOW later AS (
    PARTITION BY customer_segment ORDER BY day DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
)
