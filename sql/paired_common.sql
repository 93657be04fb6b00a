-- The commonest values of each field on both sides together, of which the smaller side should have enough rows.
with sizes as (
    select field, sum(today) as today, sum(before) as before
    from paired
    group by field
),
ranked as (
    select paired.field, paired.value, paired.today, paired.before,
        row_number() over (
            partition by paired.field order by paired.today + paired.before desc, h60(paired.value), paired.value
        ) as place
    from paired
    join sizes on sizes.field = paired.field
    where (paired.today + paired.before) * least(sizes.today, sizes.before) >= {{ least }} * (sizes.today + sizes.before)
)
select field, value, today, before
from ranked
where place <= {{ most }}
order by field, place
