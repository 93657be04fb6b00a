-- Counts of the parts of a day, summed, by the order of the fields, then by the values' bytes.
select field, value, impressions, clicks
from ({{ counts }}) as summed
order by case field
{% for name in fields %}
        when {{ name | text }} then {{ loop.index }}
{% endfor %}
    end, value
