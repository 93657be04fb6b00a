-- The fields that the counts of the window name.
select distinct field
from {{ counts | parquet }}
