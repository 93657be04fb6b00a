{% from "row_expressions.sql" import label_of %}
-- One block of lines -> typed rows in line order. A line that fails a check has its first reason and its text;
-- its other columns mean nothing. A line of counts gives a row of its clicks and one of its other impressions, or that of
-- them which there is. Lines of other days are left out when the source is an archive of many days.
with
{% if form == "json" %}
{% include "ingest_json.sql" %}
{% else %}
cells as (
    select file, line, text
{% if form == "parquet" %}
    {% for column in columns %}
        , column_{{ column.position }} as cell_{{ column.position }}
    {% endfor %}
{% else %}
    {% if quote %}
        , coalesce(lines.cells, split_values(text, {{ delimiter | text }})) as cells
    {% else %}
        , split_values(text, {{ delimiter | text }}) as cells
    {% endif %}
        -- Whether any cell may have blanks around it: one look at the line spares a look at each of its cells.
        , {{ "lines.cells is not null or " if quote }}starts_with(text, ' ') or ends_with(text, ' ')
            or contains(text, {{ (" " ~ delimiter) | text }}) or contains(text, {{ (delimiter ~ " ") | text }}) as padded
{% endif %}
    from lines
),
trimmed as (
    select file, line, text
{% if form == "delimited" %}
        , cell_count(cells) as width
{% endif %}
{% for column in columns %}
    {% if form == "parquet" %}
        , trim(cell_{{ column.position }}, ' ') as raw_{{ column.position }}
    {% else %}
        , case when padded then trim(cell_at(cells, {{ column.position }}), ' ') else cell_at(cells, {{ column.position }}) end as raw_{{ column.position }}
    {% endif %}
{% endfor %}
    from cells
),
{% endif %}
present as (
    select file, line, text
{% if form == "delimited" %}
        , width
{% elif form == "json" %}
        , fault
{% endif %}
{% for column in columns %}
    {% if missing and not (label and label.position == column.position) %}
        , case when raw_{{ column.position }} in ({{ missing | map("text") | join(", ") }}) then null else raw_{{ column.position }} end as raw_{{ column.position }}
    {% else %}
        , raw_{{ column.position }}
    {% endif %}
{% endfor %}
{% for position, value in told.items() %}
        , cast({{ "null" if value is none else value | text }} as varchar) as raw_{{ position }}
{% endfor %}
    from trimmed
),
typed as (
    select *
{% for number in numbers %}
        , try_number(raw_{{ number.position }}) as number_{{ number.position }}
{% endfor %}
{% if weights %}
        , try_number(raw_{{ weights.impressions }}) as "its impressions"
        , try_number(raw_{{ weights.clicks }}) as "its clicks"
{% endif %}
{% if time %}
        , coalesce({{ time.moments | join(", ") }}) as moment
    {% if time.skipped %}
        , coalesce({{ time.skipped | join(" or ") }}, false) as skipped
    {% endif %}
{% endif %}
{% if id %}
        , md5(concat({{ id_prefix | text }}, raw_{{ id.position }})) as row_id
{% else %}
        , md5(concat({{ id_prefix | text }}, line)) as row_id
{% endif %}
    from present
),
labelled as (
    select *
{% if label %}
        , {{ label_of(label, "raw_" ~ label.position) }} as label
{% elif clicked and within is not none %}
        , case when exists (select 1 from clicks where clicks.row_id = typed.row_id
            and clicks.moment >= typed.moment and clicks.moment <= typed.moment + to_microseconds({{ within }})) then 1 else 0 end as label
{% elif clicked %}
        , case when row_id in (select row_id from clicks) then 1 else 0 end as label
{% endif %}
    from typed
),
checked as (
    select *
        , case
{% if form != "parquet" %}
            when text = '' then {{ (prefix ~ "empty line") | text }}
{% endif %}
{% if form == "json" %}
            when fault is not null then fault
            when contains(text, '\u0000') and ({% for column in columns %}{{ " or " if not loop.first }}holds_nul(raw_{{ column.position }}){% endfor %}) then 'holds a NUL character'
{% elif form == "delimited" %}
            when width = 0 then {{ (prefix ~ "quotes do not match") | text }}
    {% if least_width < width %}
            when width not between {{ least_width }} and {{ width }} then concat({{ prefix | text }}, width, ' columns, expected {{ least_width }} to {{ width }}')
    {% else %}
            when width <> {{ width }} then concat({{ prefix | text }}, width, ' columns, expected {{ width }}')
    {% endif %}
{% endif %}
{% if time %}
    {% if time.skipped %}
            when moment is null and skipped then {{ time.skipped_reason | text }}
    {% endif %}
            when moment is null{{ " and " ~ time.text ~ " is not null" if timeless }} then {{ time.reason | text }}
    {% if other_days == "reject" %}
            when cast({{ time.clock }} as date) <> date {{ day | text }} then {{ time.other_day | text }}
    {% endif %}
{% endif %}
{% if id %}
            when raw_{{ id.position }} is null then {{ id.reason | text }}
{% endif %}
{% if label %}
            when label is null then {{ label.reason | text }}
{% endif %}
{% if weights %}
            when not coalesce("its impressions" between 1 and {{ weights.most }} and "its impressions" = floor("its impressions"), false) then {{ weights.reason | text }}
            when not coalesce("its clicks" between 0 and "its impressions" and "its clicks" = floor("its clicks"), false) then {{ weights.clicks_reason | text }}
{% endif %}
{% for number in numbers %}
            when raw_{{ number.position }} is not null and number_{{ number.position }} is null then {{ number.reason | text }}
{% endfor %}
        end as reason
    from labelled
{% if time and other_days == "leave out" %}
    where {% if form == "delimited" %}width not between {{ least_width }} and {{ width }} or {% endif %}moment is null or cast({{ time.clock }} as date) = date {{ day | text }}
{% endif %}
)
{% if weights %}
, halves as (
    select *, unnest(case
        when reason is not null then [null]
        when "its clicks" = 0 then [0]
        when "its clicks" = "its impressions" then [1]
        else [1, 0]
    end) as label
    from checked
)
{% endif %}
select row_id, file, line
{% if label or clicked or weights %}
    , cast(label as tinyint) as label
{% endif %}
{% if weights %}
    , try_cast(case label when 1 then "its clicks" else "its impressions" - "its clicks" end as bigint) as weight
{% endif %}
{% for field in fields %}
    , {{ field.expression }} as {{ field.name | name }}
{% endfor %}
{% if time and clicks %}
    , cast({{ time.clock }} as date) as "its day"
    , moment as "its moment"
{% elif within is not none %}
    , case when row_id in (select row_id from clicks) then moment end as "its moment"
{% endif %}
    , reason as "its reason"
    , {{ "text" if clicks else "case when reason is not null then text end" }} as "its text"
from {{ "halves" if weights else "checked" }}
{% if clicked %}
-- A look-up may reorder rows.
order by line
{% endif %}
