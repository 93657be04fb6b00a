-- Some rows of a sample, and how many of them are clicks.
select count(*), count(*) filter (where label = 1)
from {{ relation }}
where {{ where }}
