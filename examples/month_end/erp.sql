-- The ERP of the example company. Money is whole cents; dates are ISO text; nothing here is written by AOS itself.
create table period (
    month text primary key,
    closes_on text not null,
    status text not null check (status in ('open', 'closed')),
    closed_summary text
) strict;
create table rate (
    month text not null references period,
    currency text not null,
    eur_per_unit text not null,
    primary key (month, currency)
) strict;
create table vendor (
    vendor text primary key,
    name text not null,
    street text not null,
    postcode text not null,
    city text not null,
    country text not null,
    vat_id text not null,
    email text not null,
    iban text not null,
    currency text not null,
    terms_days integer not null,
    known_since text not null,
    blocked_reason text
) strict;
create table bank_account_change (
    vendor text not null references vendor,
    changed_on text not null,
    old_iban text not null,
    new_iban text not null,
    changed_by text not null,
    verified integer not null check (verified in (0, 1)),
    primary key (vendor, changed_on)
) strict;
create table purchase_order (
    "order" text primary key,
    vendor text not null references vendor,
    ordered_on text not null,
    currency text not null
) strict;
create table order_line (
    "order" text not null references purchase_order,
    line integer not null,
    item text not null,
    description text not null,
    quantity integer not null check (quantity > 0),
    unit_price_cents integer not null,
    vat_percent integer not null,
    primary key ("order", line)
) strict;
create table receipt (
    receipt text primary key,
    "order" text not null references purchase_order,
    received_on text not null
) strict;
create table receipt_line (
    receipt text not null references receipt,
    line integer not null,
    quantity integer not null check (quantity > 0),
    primary key (receipt, line)
) strict;
create index receipt_by_order on receipt ("order");
create table invoice (
    invoice text primary key,
    vendor text not null references vendor,
    number text not null,
    kind text not null check (kind in ('invoice', 'credit_note')),
    "order" text references purchase_order,
    refers_to text references invoice,
    month text not null references period,
    issued_on text not null,
    booked_on text not null,
    due_on text not null,
    currency text not null,
    net_cents integer not null,
    vat_cents integer not null,
    amount_cents integer not null,
    status text not null check (status in ('open', 'matched', 'held', 'refused', 'paid'))
) strict;
create index invoice_by_vendor on invoice (vendor, month);
create table invoice_line (
    invoice text not null references invoice,
    line integer not null,
    item text not null,
    description text not null,
    quantity integer not null,
    unit_price_cents integer not null,
    vat_percent integer not null,
    primary key (invoice, line)
) strict;
create table match_result (
    invoice text primary key references invoice,
    verdict text not null,
    reasons text not null
) strict;
create table hold (
    invoice text not null references invoice,
    reason text not null,
    primary key (invoice, reason)
) strict;
create table payment (
    invoice text primary key references invoice,
    payment_reference text not null unique,
    paid_in text not null
) strict;
