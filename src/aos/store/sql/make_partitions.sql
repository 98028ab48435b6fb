-- From yesterday, for a clock of ours that is a little behind, to seven days ahead.
select aos_make_partitions((aos_now() at time zone 'UTC')::date - 1, 9) as made;
