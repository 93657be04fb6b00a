-- Rows whose id an earlier row has: their positions in the file of rows, from 0, and where they come from.
select file_row_number as position, file, line
from (
    select file_row_number, file, line,
        row_number() over (partition by row_id order by file_row_number) as occurrence
    from {{ rows | parquet(row_numbers=true) }}
    where row_id in (select row_id from {{ rows | parquet }} group by row_id having count(*) > 1)
) as repeated
where occurrence > 1
order by position
