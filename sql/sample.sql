-- The share and the rate of every row in its order, and its label; both by hashes of the row id alone.
-- Negatives of the train share that are left out have neither.
with placed as (
    select
        label,
{% if weighted %}
        weight,
        weight * cast({{ rate | text }} as double) as thinned,
{% endif %}
        row_id,
        h60(concat({{ salt | text }}, '|share|', row_id)) % 1000000 as place
    from {{ rows | parquet }}
),
{% if weighted %}
-- A negative of the train share keeps weight x rate impressions: the whole part, and one more by chance for the rest.
kept as (
    select
        * exclude (weight, thinned),
        case
            when place >= {{ train_end }} or label = 1 then weight
            else cast(floor(thinned) as bigint) + case
                when h60(concat({{ salt | text }}, '|negative|', row_id))
                    < cast(floor((thinned - floor(thinned)) * cast({{ whole }} as double)) as bigint) then 1
                else 0 end
        end as weight
    from placed
),
{% endif %}
shared as (
    select
        label,
{% if weighted %}
        weight,
{% endif %}
        case
            when place >= {{ calibrate_end }} and place >= {{ train_end }} then 'gate'
            when place >= {{ train_end }} then 'calibrate'
{% if weighted %}
            when weight > 0 then 'train'
{% else %}
            when label = 1 or h60(concat({{ salt | text }}, '|negative|', row_id)) < {{ negative_end }} then 'train'
{% endif %}
        end as share
    from {{ "kept" if weighted else "placed" }}
)
select
    share,
    case
        when share = 'train' then cast({{ rate | text }} as double)
        when share is not null then cast(1 as double)
    end as rate,
{% if weighted %}
    case when share is not null then weight end as weight,
{% endif %}
    label
from shared
