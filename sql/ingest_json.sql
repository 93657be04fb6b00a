-- The tables that ingest_rows.sql begins with, of lines of JSON: their cells, what these are, and the cells as texts. A
-- line is read once, and once more where a cell looks like a list or an object.
cells as (
    select file, line, text
        , case when is_json(text) then json_cells(text, [{{ columns | map(attribute="path") | map("text") | join(", ") }}]) end as cells
    from lines
),
shaped as (
    select file, line, text, cells
        , case when false
{% for column in columns %}
            or looks_nested(cell_at(cells, {{ column.position }}))
{% endfor %}
            then json_kinds(text, [{{ columns | map(attribute="path") | map("text") | join(", ") }}]) end as kinds
    from cells
),
trimmed as (
    select file, line, text
        , case
            when cells is null then 'not JSON'
            when not is_object(text) then 'not a JSON object'
            when kinds is null then null
{% for column in columns %}
    {% if column.separator %}
            when cell_at(kinds, {{ column.position }}) = 'OBJECT' then {{ column.shape | text }}
            when cell_at(kinds, {{ column.position }}) = 'ARRAY' and list_nests(cell_at(cells, {{ column.position }})) then {{ column.shape | text }}
            when cell_at(kinds, {{ column.position }}) = 'ARRAY' and list_holds(cell_at(cells, {{ column.position }}), {{ column.separator | text }}) then {{ column.holds | text }}
    {% else %}
            when cell_at(kinds, {{ column.position }}) in ('ARRAY', 'OBJECT') then {{ column.shape | text }}
    {% endif %}
{% endfor %}
            end as fault
{% for column in columns %}
    {% if column.separator %}
        , trim(case when cell_at(kinds, {{ column.position }}) = 'ARRAY' then list_text(cell_at(cells, {{ column.position }}), {{ column.separator | text }})
            else cell_at(cells, {{ column.position }}) end, ' ') as raw_{{ column.position }}
    {% else %}
        , trim(cell_at(cells, {{ column.position }}), ' ') as raw_{{ column.position }}
    {% endif %}
{% endfor %}
    from shaped
),
