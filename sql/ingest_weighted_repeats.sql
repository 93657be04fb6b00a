-- Rows of lines that share an id, with their positions in their file of rows, from 0, and what becomes of each: 'kept' or
-- 'repeated' (set aside). Both rows of a line, those of its clicks and of its other impressions, are treated alike.
create temp table repeats as
with known as (
    select filename, file_row_number as position, row_id, file, line,
        sum(weight) over (partition by row_id, file, line) as impressions,
        sum(weight * label) over (partition by row_id, file, line) as clicks
    from {{ rows | parquet(row_numbers=true) }}
    where row_id in (select row_id from {{ rows | parquet }} group by row_id having min((file, line)) <> max((file, line)))
),
numbered as (
    select *,
        dense_rank() over (partition by row_id order by file, line) as occurrence,
        dense_rank() over (partition by row_id order by file desc, line desc) as from_last,
        min((impressions, clicks)) over (partition by row_id) <> max((impressions, clicks)) over (partition by row_id) as conflict
    from known
)
select filename, position, row_id, file, line, conflict,
    case
{% if on_repeat == "last" %}
        when from_last = 1 then 'kept'
{% elif on_repeat != "reject" %}
        when occurrence = 1 then 'kept'
{% endif %}
        {{ "when false then 'kept'" if on_repeat == "reject" }}
        else 'repeated'
    end as verdict
from numbered
