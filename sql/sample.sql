-- The share and the rate of every row in its order, and its label; both by hashes of the row id alone.
-- Negatives of the train share that are left out have neither.
with placed as (
    select
        label,
        row_id,
        h60(concat({{ salt | text }}, '|share|', row_id)) % 1000000 as place
    from {{ rows | parquet }}
),
shared as (
    select
        label,
        case
            when place >= {{ calibrate_end }} and place >= {{ train_end }} then 'gate'
            when place >= {{ train_end }} then 'calibrate'
            when label = 1 or h60(concat({{ salt | text }}, '|negative|', row_id)) < {{ negative_end }} then 'train'
        end as share
    from placed
)
select
    share,
    case
        when share = 'train' then cast({{ rate | text }} as double)
        when share is not null then cast(1 as double)
    end as rate,
    label
from shared
