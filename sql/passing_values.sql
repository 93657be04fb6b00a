-- The ids of known values of a field that pass the threshold in the window.
with summed as (
    {{ window }}
)
select known_values.id
from summed
inner join known_values on known_values.value = summed.value
where summed.impressions >= {{ threshold }}
