"""Larkspur, an invented company whose month is closed by agents.

Nothing here knows AOS: these are the company's own systems (an ERP, a mailbox, a bank file) as plain Python. Their
data lies in one folder, named by `MONTH_END_FOLDER`, made by `generate`.
"""
