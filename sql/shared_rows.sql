-- Rows with their share and rate, without those that were left out; `file_row_number` is that of the rows. The weight of a
-- row is that in the sample.
select drawn.*{% if weighted %} replace (given.weight as weight){% endif %}, given.share, given.rate
from {{ rows }} as drawn
inner join {{ shares }} as given on given.file_row_number = drawn.file_row_number
where given.share is not null
