-- Named functions that hide what differs between engines; every other statement is common SQL.

-- The first 15 hexadecimal digits of md5 as a 60-bit integer: the same number on every engine.
create or replace macro h60(s) as cast(concat('0x', substr(md5(s), 1, 15)) as bigint);

-- A finite number written in decimal or scientific notation, else NULL.
create or replace macro try_number(s) as case when regexp_full_match(s, '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?') and isfinite(try_cast(s as double)) then cast(s as double) end;

-- Minutes of an offset such as +02, +0230 or -02:30; 0 for no offset.
create or replace macro offset_minutes(o) as case when starts_with(o, '-') then -1 else 1 end
    * (60 * coalesce(try_cast(substr(o, 2, 2) as integer), 0) + case when length(o) > 3 then coalesce(try_cast(right(o, 2) as integer), 0) else 0 end);

-- A UTC time written in a strptime form, as seconds or milliseconds since 1970, or as in ISO 8601; NULL when it is not one.
create or replace macro try_time(s, form) as cast(try_strptime(s, form) as timestamp);
create or replace macro try_epoch(s) as case when regexp_full_match(s, '[0-9]{1,11}([.][0-9]*)?') then make_timestamp(cast(split_part(s, '.', 1) as bigint) * 1000000) end;
create or replace macro try_epoch_ms(s) as case when regexp_full_match(s, '[0-9]{1,14}([.][0-9]*)?') then make_timestamp(cast(split_part(s, '.', 1) as bigint) * 1000) end;
create or replace macro try_iso8601(s) as case when regexp_full_match(s, '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?')
    then try_strptime(concat(substr(s, 1, 10), ' ', substr(s, 12, 5), case when substr(s, 17, 1) = ':' then substr(s, 17, 3) else ':00' end), '%Y-%m-%d %H:%M:%S')
        - to_minutes(offset_minutes(regexp_extract(s, '[+-][0-9]{2}(:?[0-9]{2})?$'))) end;
create or replace macro tells_offset(s) as regexp_matches(s, '(Z|[+-][0-9]{2}(:?[0-9]{2})?)$');

-- The hour, 0 to 23, and the ISO day of the week, 1 (Monday) to 7, as text.
create or replace macro hour_text(t) as cast(hour(t) as varchar);
create or replace macro weekday_text(t) as cast(isodow(t) as varchar);

-- How many cells a line has, and the n-th, from 1.
create or replace macro cell_count(cells) as len(cells);
create or replace macro cell_at(cells, n) as cells[n];

-- The values of a multi-valued field.
create or replace macro split_values(s, separator) as string_split(s, separator);

-- Whether a line is JSON, and whether one that is JSON is an object; its values at some paths as texts (NULL where there is
-- none, or null), and their kinds: each reads the line once, however many paths there are.
create or replace macro is_json(s) as json_valid(s);
create or replace macro is_object(s) as starts_with(ltrim(s, concat(' ', chr(9), chr(13))), '{');
create or replace macro json_cells(s, paths) as json_extract_string(s, paths);
create or replace macro json_kinds(s, paths) as json_type(s, paths);
create or replace macro looks_nested(s) as starts_with(s, '[') or starts_with(s, '{');

-- Of a list of JSON: its values joined by a separator, whether one of them holds it, and whether one is no single value.
create or replace macro list_text(s, separator) as array_to_string([coalesce(part, '') for part in json_extract_string(s, '$[*]')], separator);
create or replace macro list_holds(s, separator) as list_bool_or([contains(part, separator) for part in json_extract_string(s, '$[*]')]);
create or replace macro list_nests(s) as list_has_any(json_type(s, '$[*]'), ['ARRAY', 'OBJECT']);

-- Whether a text holds the character NUL, which PostgreSQL does not take.
create or replace macro holds_nul(s) as contains(s, chr(0));
