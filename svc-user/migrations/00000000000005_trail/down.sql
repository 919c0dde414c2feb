drop table trail_entry, trail_outcome, trail_mention;
drop function keep_trail_months(date, date, date), protect_trail(text), trail_id_from(timestamptz), trail_is_append_only();
