-- Rows with their share and rate, without those that were left out; `file_row_number` is that of the rows.
select drawn.*, given.share, given.rate
from {{ rows }} as drawn
inner join {{ shares }} as given on given.file_row_number = drawn.file_row_number
where given.share is not null
