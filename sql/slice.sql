-- The rows with a value of a field, in their order; the value is a parameter. A field that the rows do not have is empty.
select *
from {{ rows | parquet }}
where
{% if absent %}
    $value = ''
{% elif missing %}
    {{ field | name }} is null and $value = ''
{% elif kind == "multi" %}
    list_contains([trim(part, ' ') for part in split_values({{ field | name }}, {{ separator | text }})], $value)
{% elif kind == "number" %}
    {{ field | name }} = cast($value as double)
{% else %}
    {{ field | name }} = $value
{% endif %}
