-- Every value of the counts of two sides, with its impressions on both.
create temp table paired as
select field, value, cast(sum(today) as bigint) as today, cast(sum(before) as bigint) as before
from (
    select field, value, impressions as today, 0 as before
    from {{ today | parquet }}
    union all
    select field, value, 0 as today, impressions as before
    from {{ before | parquet }}
) as sides
group by field, value
