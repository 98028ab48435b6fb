-- How many calls of a model may be under way at once, beside those of tools and the tasks of agents and queues.

alter table concurrency_limit drop constraint concurrency_limit_kind_check;
alter table concurrency_limit add constraint concurrency_limit_kind_check
  check (kind in ('agent', 'tool', 'queue', 'model'));
