-- Rows that share an id, with their positions in their file of rows, from 0, and what becomes of each: 'kept', 'clicked'
-- (kept, with label 1), 'joined' (a click line that gave the kept row its label) or 'repeated' (set aside).
create temp table repeats as
with numbered as (
    select filename, file_row_number as position, row_id, file, line, {{ label }} as label,
        row_number() over (partition by row_id order by file, line) as occurrence,
        row_number() over (partition by row_id order by file desc, line desc) as from_last,
        row_number() over (partition by row_id, {{ label }} order by file, line) as occurrence_of_label,
        first_value({{ label }}) over (partition by row_id order by file, line) as first_label,
        max({{ label }}) over (partition by row_id) as greatest,
        min({{ label }}) over (partition by row_id) as least
    from {{ rows | parquet(row_numbers=true) }}
    where row_id in (select row_id from {{ rows | parquet }} group by row_id having count(*) > 1)
)
select filename, position, row_id, file, line, greatest <> least as conflict,
    case
{% if on_repeat == "any_click" %}
        when occurrence = 1 then case when greatest > first_label then 'clicked' else 'kept' end
        when label > first_label and occurrence_of_label = 1 then 'joined'
{% elif on_repeat == "first" %}
        when occurrence = 1 then 'kept'
{% elif on_repeat == "last" %}
        when from_last = 1 then 'kept'
{% endif %}
        {{ "when false then 'kept'" if on_repeat == "reject" }}
        else 'repeated'
    end as verdict
from numbered
