-- The values at the k/buckets quantiles (PERCENTILE_DISC, k = 1 ... buckets - 1) of a numeric field, each once.
-- A value is one of them when a multiple of `total` lies in ((rows below it) * buckets, (rows up to it) * buckets].
with counted as (
    select {{ field | name }} as value, {{ impressions }} as n
    from {{ rows | parquet }}
    -- Not a comparison: with the file's statistics, which leave NaN out, DuckDB takes those to hold for NaN too.
    where isfinite({{ field | name }})
    group by {{ field | name }}
),
summed as (
    select value, n,
        cast(sum(n) over (order by value) as bigint) as up_to,
        cast(sum(n) over () as bigint) as total
    from counted
),
scaled as (
    select value, total,
        (up_to - n) * {{ buckets }} as below,
        least(up_to * {{ buckets }}, ({{ buckets }} - 1) * total) as reached
    from summed
)
select value
from scaled
where reached - mod(reached, total) > below
order by value
