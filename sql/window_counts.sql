-- The counts of a window: sums over its days.
select field, value, cast(sum(impressions) as bigint) as impressions, cast(sum(clicks) as bigint) as clicks
from read_parquet([{% for path in paths %}{{ path | text }}{{ ", " if not loop.last }}{% endfor %}])
group by field, value
