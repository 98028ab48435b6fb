-- Makes an organization with its settings, data key and empty log; no row where the name is taken.
with made as (
  insert into organization (id, name) values (%(id)s, %(name)s) on conflict (name) do nothing returning id
), settled as (
  insert into organization_settings (organization_id, currency, timezone, environment, run_clock_allowed)
  select id, %(currency)s, %(timezone)s, %(environment)s, %(run_clock_allowed)s from made
), headed as (
  insert into ledger_head (organization_id) select id from made
), keyed as (
  insert into data_key (organization_id, id, key_encryption_key, wrapped, state)
  select id, %(data_key_id)s, %(key_encryption_key)s, %(wrapped)s, 'current' from made
)
select id from made
