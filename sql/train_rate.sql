-- The rates at which negatives of the train share were kept: one, unless the sample is damaged.
select distinct rate
from {{ shares | parquet }}
where share = 'train'
order by rate
