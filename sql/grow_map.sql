-- Values of a field that pass the threshold in the window and have no id yet, in the order in which they get their ids.
with summed as (
    {{ window }}
)
select value, impressions, clicks
from summed
where impressions >= {{ threshold }} and not exists (
    select 1 from known_values
    where known_values.value = summed.value
)
order by impressions desc, h60(value), value
