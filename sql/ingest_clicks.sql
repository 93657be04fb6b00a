-- What becomes of each click line: the first one of a row is joined to it; clicks that may be those of impressions of
-- other days are left to those days; all others are rejects.
create temp table settled as
{% if within is not none %}
with met as (
    select row_id, moment from {{ met | parquet }} where row_id in (select row_id from {{ rows | parquet }})
),
judged as (
    select clicks.file, clicks.line, any_value(clicks.row_id) as row_id, any_value(clicks.text) as text
        , any_value(clicks.moment) as moment
        , count(met.row_id) > 0 as known
        , coalesce(bool_or(clicks.moment >= met.moment and clicks.moment <= met.moment + to_microseconds({{ within }})), false) as counts
        , coalesce(bool_and(clicks.moment < met.moment), false) as early
    from {{ clicks | parquet }} as clicks left join met on met.row_id = clicks.row_id
    group by clicks.file, clicks.line
)
select file, line, text,
    case
        -- Of repeated impressions another one than that of the click may have stayed.
        when counts and row_id in (select row_id from {{ rows | parquet }} where label = 1)
            then case when row_number() over (partition by row_id, counts order by file, line) = 1
                then 'joined' else 'click line: repeated click' end
        when early then 'click line: before its impression'
        when known then 'click line: more than {{ "%g" | format(hours) }} hours after its impression'
        when moment - to_microseconds({{ within }}) < timestamp {{ start | text }} or moment >= timestamp {{ end | text }} then 'other day'
        else 'click line: no impression of its id'
    end as verdict
from judged
{% else %}
select file, line, text,
    case
        when row_id in (select row_id from {{ rows | parquet }})
            then case when occurrence = 1 then 'joined' else 'click line: repeated click' end
{% if archive %}
        when its_day <> date {{ day | text }} then 'other day'
{% endif %}
        else 'click line: no impression of its id'
    end as verdict
from (
    select *, row_number() over (partition by row_id order by file, line) as occurrence
    from {{ clicks | parquet }}
) as numbered
{% endif %}
