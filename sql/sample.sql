-- Every row with its share, and the train share's negatives down-sampled; both by hashes of the row id alone.
select
{% for column in columns %}
    {{ column | name }},
{% endfor %}
    case
        when h60(concat({{ salt | text }}, '|share|', row_id)) % 1000000 < {{ train_end }} then 'train'
        when h60(concat({{ salt | text }}, '|share|', row_id)) % 1000000 < {{ calibrate_end }} then 'calibrate'
        else 'gate'
    end as share,
    case
        when h60(concat({{ salt | text }}, '|share|', row_id)) % 1000000 < {{ train_end }} then cast({{ rate | text }} as double)
        else cast(1 as double)
    end as rate
from {{ rows | parquet }}
where label = 1
    or h60(concat({{ salt | text }}, '|share|', row_id)) % 1000000 >= {{ train_end }}
    or h60(concat({{ salt | text }}, '|negative|', row_id)) < {{ negative_end }}
