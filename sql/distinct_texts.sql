{% from "row_expressions.sql" import label_of %}
-- What texts mean, in their order: as a label, or as a time, with the fields that are made from it.
{% if label %}
select cast({{ label_of(label, "raw_" ~ label.position) }} as tinyint) as label from texts
{% else %}
with timed as (
    select coalesce({{ time.moments | join(", ") }}) as moment
    {% if time.skipped %}
        , coalesce({{ time.skipped | join(" or ") }}, false) as skipped
    {% endif %}
    from texts
)
select
    moment is null as timeless,
    {{ "moment is null and skipped" if time.skipped else "false" }} as skipped,
    coalesce(cast({{ time.clock }} as date) <> date {{ day | text }}, false) as other_day
{% for field in fields if not field.position %}
    , {{ field.expression }} as {{ field.name | name }}
{% endfor %}
from timed
{% endif %}
