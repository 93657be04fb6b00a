-- Values that pass the threshold in the window and have no id yet, in the order in which they get their ids.
with summed as (
    {{ window }}
)
select map_fields.position, summed.value, summed.impressions, summed.clicks
from summed
join map_fields on map_fields.name = summed.field
where summed.impressions >= {{ threshold }} and not exists (
    select 1 from parent_values
    where parent_values.field = map_fields.position and parent_values.value = summed.value
)
order by map_fields.position, summed.impressions desc, h60(summed.value), summed.value
