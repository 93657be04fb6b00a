-- Named functions of the clocks of a time zone around a day, of which `changes` are the moments when they are put on or
-- back. A time that the clocks showed twice is the first of the two; one that they skipped is none.
create or replace temp macro utc_of(t) as case when t is null then null
{% for change in changes %}
    when t < timestamp {{ change.clock_before | text }} then t - to_seconds({{ change.before }})
    {% if change.after > change.before %}
    when t < timestamp {{ change.clock_after | text }} then null
    {% endif %}
{% endfor %}
    else t - to_seconds({{ last }}) end;

create or replace temp macro is_skipped(t) as coalesce(false
{% for change in changes if change.after > change.before %}
    or (t >= timestamp {{ change.clock_before | text }} and t < timestamp {{ change.clock_after | text }})
{% endfor %}
    , false);

create or replace temp macro clock_at(t) as case when t is null then null
{% for change in changes %}
    when t < timestamp {{ change.at | text }} then t + to_seconds({{ change.before }})
{% endfor %}
    else t + to_seconds({{ last }}) end;
