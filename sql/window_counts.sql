-- The counts of a window: sums over its days.
select field, value, cast(sum(impressions) as bigint) as impressions, cast(sum(clicks) as bigint) as clicks
from {{ paths | parquet }}
group by field, value
