-- The counts of a field in a window, sums over its days, of values that came on so many of them.
select value, cast(sum(impressions) as bigint) as impressions, cast(sum(clicks) as bigint) as clicks
from {{ paths | parquet }}
where field = {{ field | text }}
group by value
having count(*) >= {{ days }}
