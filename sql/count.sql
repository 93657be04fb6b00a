-- Impressions and clicks of every value of every field that has values; missing values are not counted.
with counted as (
{% for field in fields %}
    {{ "union all " if not loop.first }}select {{ field.position }} as position, value, impressions, clicks
    from (
    {% if field.kind == "multi" %}
        -- Each distinct text is taken apart once; a value counts once for a row, however often the row has it.
        select value, cast(sum(impressions) as bigint) as impressions, cast(sum(clicks) as bigint) as clicks
        from (
            select distinct content, trim(part, ' ') as value, impressions, clicks
            from (
                select content, unnest(split_values(content, {{ field.separator | text }})) as part, impressions, clicks
                from (
                    select {{ field.name | name }} as content, {{ impressions }} as impressions, sum({{ label }}) as clicks
                    from {{ rows | parquet }}
                    where {{ field.name | name }} is not null
                    group by {{ field.name | name }}
                ) as texts
            ) as parts
        ) as sets
        where value <> ''
        group by value
    {% else %}
        select {{ field.name | name }} as value, {{ impressions }} as impressions, cast(sum({{ label }}) as bigint) as clicks
        from {{ rows | parquet }}
        where {{ field.name | name }} is not null
        group by {{ field.name | name }}
    {% endif %}
    ) as field_{{ field.position }}
{% endfor %}
)
select
    case position
{% for field in fields %}
        when {{ field.position }} then {{ field.name | text }}
{% endfor %}
    end as field,
    value, impressions, clicks
from counted
order by position, value
