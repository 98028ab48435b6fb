delete from process where id = %(id)s;
