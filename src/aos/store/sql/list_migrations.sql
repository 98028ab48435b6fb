-- The migrations of the store that this database has seen.
select name from public.django_migrations where app = 'store' order by name
