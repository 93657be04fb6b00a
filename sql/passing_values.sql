-- The ids of known values that pass the threshold in the window.
with summed as (
    {{ window }}
)
select parent_values.id
from summed
inner join map_fields on map_fields.name = summed.field
inner join parent_values on parent_values.field = map_fields.position and parent_values.value = summed.value
where summed.impressions >= {{ threshold }}
