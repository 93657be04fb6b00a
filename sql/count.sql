-- Impressions and clicks of every value of a field that has values, in the order of the values' bytes; missing values
-- are not counted.
{% if kind == "multi" %}
-- Each distinct text is taken apart once; a value counts once for a row, however often the row has it.
select value, cast(sum(impressions) as bigint) as impressions, cast(sum(clicks) as bigint) as clicks
from (
    select distinct content, trim(part, ' ') as value, impressions, clicks
    from (
        select content, unnest(split_values(content, {{ separator | text }})) as part, impressions, clicks
        from (
            select {{ field | name }} as content, {{ impressions }} as impressions, sum({{ label }}) as clicks
            from {{ rows | parquet }}
            where {{ field | name }} is not null
            group by {{ field | name }}
        ) as texts
    ) as parts
) as sets
where value <> ''
group by value
{% else %}
select {{ field | name }} as value, {{ impressions }} as impressions, cast(sum({{ label }}) as bigint) as clicks
from {{ rows | parquet }}
where {{ field | name }} is not null
group by {{ field | name }}
{% endif %}
order by value
