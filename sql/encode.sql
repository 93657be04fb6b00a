-- Rows in their order with the ids of their categorical values, one look-up per field.
-- Output: one column per field (numeric and multi-valued ones as they are), then the carried columns.
with numbered as (
    select
{% for field in fields %}
    {% if field.kind == "categorical" %}
        cast({{ field.name | name }} as varchar) as raw_{{ field.position }},
    {% else %}
        {{ field.name | name }} as raw_{{ field.position }},
    {% endif %}
{% endfor %}
{% for column in columns %}
        {{ column | name }} as carried_{{ loop.index0 }},
{% endfor %}
        {{ row_position }} as row_position
    from {{ relation }}
    where {{ where }}
)
select
{% for field in fields %}
    {% if field.kind == "categorical" %}
    coalesce(
        dictionary_{{ field.position }}.id,
        case when raw_{{ field.position }} is null then {{ field.missing }} else {{ field.other }} end
    ) as field_{{ field.position }},
    {% else %}
    raw_{{ field.position }} as field_{{ field.position }},
    {% endif %}
{% endfor %}
{% for column in columns %}
    carried_{{ loop.index0 }},
{% endfor %}
from numbered
{% for field in fields if field.kind == "categorical" %}
left join {{ field.dictionary | name }} as dictionary_{{ field.position }}
    on dictionary_{{ field.position }}.value = raw_{{ field.position }}
{% endfor %}
-- Joins give rows in any order.
order by row_position
