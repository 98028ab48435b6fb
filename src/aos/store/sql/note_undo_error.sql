-- Says why the undoing of a failed run has not begun by itself.
update run set undo_error = %(error)s
where organization_id = %(organization_id)s and id = %(id)s and state = 'failed'
  and undo_error is distinct from %(error)s
returning id
