-- Rows as they are, in their order: one column per field (text for those of values, numbers otherwise), then the
-- carried columns; of rows of which nothing is asked, that they are there.
select
{% if not fields and not columns %}
    true as is_there
{% endif %}
{% for field in fields %}
    {{ "cast(" ~ (field.name | name) ~ " as varchar)" if field.kind == "categorical" else field.name | name }} as field_{{ loop.index0 }},
{% endfor %}
{% for column in columns %}
    {{ column | name }} as carried_{{ loop.index0 }},
{% endfor %}
from {{ relation }}
where {{ where }}
{% if ordered %}
-- A join gives rows in any order.
order by file_row_number
{% endif %}
