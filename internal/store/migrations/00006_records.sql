-- What an operator searches: a line for each session and each direct call. It holds no
-- personal data: names, numbers, mobile numbers and log ids are keyed digests of 63 bits.

-- +goose Up
-- +goose StatementBegin

-- The combinations of what records are filtered by, a few thousand: see records.go. id
-- follows from the other columns. They are never deleted.
create table record_facets (
    id       bigint not null primary key,
    direct   bigint not null,
    protocol text   not null,
    app      text   not null,
    plan     text   not null,
    kind     text   not null,
    outcome  text   not null,
    code     text   not null,
    sandbox  bigint not null
);

-- seq follows from id, and stands for it in record_keys. score is null where nothing was
-- compared, took in milliseconds. until is when the record goes; of a direct call the greatest
-- there is. keys are the record's keys in record_keys, 8 bytes each as base64. keyed is when
-- the keys of a direct call were made, null of a session, whose keys go with it.
create table records (
    seq      bigint not null primary key,
    id       text   not null,
    facet    bigint not null,
    at       bigint not null,
    until    bigint not null,
    attempts bigint not null,
    score    double precision,
    took     bigint not null,
    keys     text   not null,
    keyed    bigint
);
create index records_at on records (at, seq);
create index records_facet on records (facet, at, seq);
create index records_keyed on records (keyed) where keyed is not null;

create table record_keys (
    hash   bigint not null,
    at     bigint not null,
    record bigint not null,
    primary key (hash, at, record)
);

-- How far the lines of what an older release wrote are made: position is the last id done.
create table record_progress (
    part     text   not null primary key,
    position text   not null,
    done     bigint not null
);
insert into record_progress (part, position, done) values
    ('sessions', '', case when exists (select 1 from sessions) then 0 else 1 end),
    ('directs', '', case when exists (select 1 from directs) then 0 else 1 end),
    ('subjects', '', case when exists (select 1 from subjects) then 0 else 1 end);

-- A keyed digest of the number that a subject was verified with; '' where none was.
alter table subjects add column person text not null default '';
create index subjects_person on subjects (person) where person <> '';
-- +goose StatementEnd
