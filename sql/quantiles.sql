-- The values at the k/buckets quantiles (PERCENTILE_DISC, k = 1 ... buckets - 1) of each numeric field, each once.
-- A value is one of them when a multiple of `total` lies in ((rows below it) * buckets, (rows up to it) * buckets].
with counted as (
{% for field in fields %}
    {{ "union all" if not loop.first }}
    select {{ field.name | text }} as field, {{ field.buckets }} as buckets, {{ field.name | name }} as value, {{ impressions }} as n
    from {{ rows | parquet }}
    -- Not a comparison: with the file's statistics, which leave NaN out, DuckDB takes those to hold for NaN too.
    where isfinite({{ field.name | name }})
    group by {{ field.name | name }}
{% endfor %}
),
summed as (
    select field, buckets, value, n,
        cast(sum(n) over (partition by field order by value) as bigint) as up_to,
        cast(sum(n) over (partition by field) as bigint) as total
    from counted
),
scaled as (
    select field, value, total,
        (up_to - n) * buckets as below,
        least(up_to * buckets, (buckets - 1) * total) as reached
    from summed
)
select field, value
from scaled
where reached - mod(reached, total) > below
order by field, value
