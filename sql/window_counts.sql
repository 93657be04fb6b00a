-- The counts of a window, sums over its days, of values that came on so many of them.
select field, value, cast(sum(impressions) as bigint) as impressions, cast(sum(clicks) as bigint) as clicks
from {{ paths | parquet }}
group by field, value
having count(*) >= {{ days }}
