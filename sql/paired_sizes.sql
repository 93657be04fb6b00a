-- By field and the impressions of both sides together: how many values have so many, and what of them is of today.
select
    field,
    today + before as pooled,
    count(*) as number,
    cast(sum(today) as bigint) as today,
    cast(sum(case when before = 0 then today else 0 end) as bigint) as new
from paired
group by field, today + before
order by field, pooled
