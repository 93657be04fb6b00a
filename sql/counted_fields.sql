-- The fields that the counts of the window name.
select distinct field
from ({{ window }}) as summed
