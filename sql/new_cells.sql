-- The cells whose value is among new words of its field: number of the row, slot, id.
select row, slot, id
from (
{% for field in fields %}
    {{ "union all " if not loop.first }}select drawn.file_row_number as row, {{ field.slot }} as slot, words.id
    from {{ rows }} as drawn
    inner join {{ field.words | name }} as words on words.value = cast(drawn.{{ field.name | name }} as varchar)
{% endfor %}
) as found
order by row, slot
