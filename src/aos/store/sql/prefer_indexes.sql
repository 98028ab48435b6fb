-- Settings of connections whose statements look up by key: planned once, by index, never compiled.
select set_config('plan_cache_mode', 'force_generic_plan', false), set_config(name, 'off', false)
from unnest(array['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit']) as name
