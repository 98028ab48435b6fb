-- Files a person by e-mail, or finds the one who is there; a name is set where none was.
insert into person (id, email, name) values (%(id)s, lower(%(email)s), %(name)s)
on conflict (email) do update set name = case when person.name = '' then excluded.name else person.name end
returning id
