-- Named functions that hide what differs between engines; every other statement is common SQL.

-- The first 15 hexadecimal digits of md5 as a 60-bit integer: the same number on every engine.
create or replace macro h60(s) as cast(concat('0x', substr(md5(s), 1, 15)) as bigint);

-- A number written in decimal or scientific notation, else NULL.
create or replace macro try_number(s) as case when regexp_full_match(s, '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?') then cast(s as double) end;

-- The values of a multi-valued field.
create or replace macro split_values(s, separator) as string_split(s, separator);
