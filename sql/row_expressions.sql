{# What a text means, wherever it stands: the expression `raw`, a column. -#}

{%- macro label_of(label, raw) -%}
{%- if label.at_least is not none -%}
case when try_number({{ raw }}) >= cast({{ label.at_least | text }} as double) then 1
            when try_number({{ raw }}) < cast({{ label.at_least | text }} as double) then 0 end
{%- else -%}
case when {{ raw }} in ({{ label.positive | map("text") | join(", ") }}) then 1
            when {{ raw }} in ({{ label.negative | map("text") | join(", ") }}) then 0
    {%- for value, numbers in label.numbers if numbers %}
            when try_number({{ raw }}) in ({{ numbers | join(", ") }}) then {{ value }}
    {%- endfor %}
            end
{%- endif -%}
{%- endmacro %}
