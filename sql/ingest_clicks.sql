-- What becomes of each click line: the first one of a row is joined to it; in an archive of many days, clicks of
-- other days are left to those days; all others are rejects.
create temp table settled as
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
